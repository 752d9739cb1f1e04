"""Terms for the glossary row: twenty that clips hold, twenty of the same kind that nobody says.

The spoken ones were chosen by hand from what Whisper base often gets wrong in these clips: names, trades, rare words.
"""

SPOKEN = (
    "Nunavut",
    "hansard",
    "inuktitut",
    "ReadAlong-Studio",
    "CNRC",
    "Joanis",
    "Asterisk",
    "Hangup",
    "Baudelaire",
    "LibriVox",
    "Charon",
    "Antisthène",
    "Sganarelle",
    "Elvire",
    "Don Juan",
    "obole",
    "Jehanne",
    "Quilter",
    "cowmen",
    "niggarding",
)

UNSPOKEN = (
    "Kubernetes",
    "Cunningham",
    "Janus VideoRoom",
    "Cerema",
    "Légifrance",
    "Chorus Pro",
    "Tchap",
    "Grist",
    "Vigipirate",
    "Ouagadougou",
    "Montgolfier",
    "Szymborska",
    "Xavier Bertrand",
    "pyannote",
    "Plouguerneau",
    "Zuckerberg",
    "hydroxychloroquine",
    "Reykjavik",
    "Brno",
    "quinoa",
)

# What the four talkers of the glossary runs say.
CLIPS = (
    ("fr_readalongs_ej", "fr_tel_demo-congrats", "fr_tel_dir-intro"),
    ("fr_fdm015",),
    ("fr_fdm002",),
    ("en_pv_quilter", "en_libri_6313", "en_sonnet1"),
)
