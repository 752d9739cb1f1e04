"""Kyutai's speech recognition in other processes: a client of moshi-server's dialect (docs/kyutai.md).

::

    servers     KyutaiServers, the StreamingRecognizer of a process: which server is asked, the rule when all are full
    server      one of them: its slots, whether it is healthy, what befell it
    connection  one socket, that is a slot there
    stream      KyutaiStream, a SpeechStream: sound in, words out, over one connection after the other
    hearing     what the messages of one connection mean, without the socket
    sound       16 kHz to frames of 24 kHz
    messages    MessagePack
"""
