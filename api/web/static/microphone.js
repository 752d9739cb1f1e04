// One participant's microphone, published by WHIP (RFC 9725), with captions back on a data channel of the same
// connection. It connects again by itself until it is stopped.

import { Refused, refusal } from "./server.js";
import { say } from "./words.js";

const GATHERING = 2_000; // after so long the offer goes with the candidates there are
const FIRST_WAIT = 250;
const LONGEST_WAIT = 5_000;
const DISCONNECTED = 1_500; // a connection that is lost for so long is made anew
const SILENT = 3_000; // and so is one on which nothing came for so long: the server reports every second
const LISTEN_EVERY = 500;

export class Microphone {
  #iceServers;
  #join;
  #read;
  #tell;
  #stream = null;
  #connection = null;
  #resource = null;
  #token = null;
  #wait = FIRST_WAIT;
  #timer = 0;
  #meter = null;
  #brings = false;

  /**
   * `iceServers` are STUN and TURN servers, as RTCPeerConnection takes them; `join()` promises {whip, token}; `read(event)` takes what comes on the data channel; `tell(state)` is told
   * "connecting", "connected", "lost" or "unplugged", and whether captions come this way now.
   */
  constructor(iceServers, join, read, tell) {
    [this.#iceServers, this.#join, this.#read, this.#tell] = [iceServers, join, read, tell];
  }

  get wanted() {
    return this.#stream !== null;
  }

  get muted() {
    return this.#stream !== null && !this.#track.enabled;
  }

  get #track() {
    return this.#stream.getAudioTracks()[0];
  }

  /** Asks for the microphone and publishes it. Throws an `Error` that says what to do, or `Refused`. */
  async start({ raw }) {
    const stream = await listen(raw);
    this.#stream = stream;
    this.#track.addEventListener("ended", () => this.#say("unplugged"));
    try {
      await this.#connect();
    } catch (error) {
      if (error.status !== 0) {
        this.stop();
        throw error;
      }
      this.#again();
    }
  }

  mute(muted) {
    this.#track.enabled = !muted;
  }

  /** How loud the microphone is, from 0 to 1. */
  level() {
    if (!this.#stream || this.muted) return 0;
    this.#meter ??= meterOf(this.#stream);
    return this.#meter.read();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#hangUp();
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.#meter?.close();
    this.#meter = null;
  }

  async #connect() {
    this.#say("connecting");
    const { whip, token } = await this.#join();
    this.#token = token;
    const connection = new RTCPeerConnection({ iceServers: this.#iceServers });
    this.#connection = connection;
    connection.addTransceiver(this.#track, { direction: "sendonly", streams: [this.#stream] });
    this.#open(connection.createDataChannel("captions"), connection);
    connection.onconnectionstatechange = () => this.#changed(connection);
    this.#watch(connection);
    await connection.setLocalDescription();
    await gathered(connection);
    await this.#offer(whip, connection);
  }

  async #offer(whip, connection) {
    const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${this.#token}` };
    const answer = await fetch(whip, { method: "POST", headers, body: connection.localDescription.sdp }).catch(() => {
      throw new Refused(0, say("script.offline"));
    });
    if (!answer.ok) throw await refusal(answer);
    const sdp = await answer.text();
    if (this.#connection !== connection) return;
    this.#resource = new URL(answer.headers.get("Location"), answer.url).href;
    await connection.setRemoteDescription({ type: "answer", sdp });
  }

  #open(channel, connection) {
    channel.onmessage = ({ data }) => this.#read(JSON.parse(data));
    channel.onopen = () => {
      if (this.#connection !== connection) return;
      this.#brings = true;
      this.#say("connected");
    };
    channel.onclose = () => this.#connection === connection && this.#lost(connection);
  }

  #changed(connection) {
    if (this.#connection !== connection) return;
    switch (connection.connectionState) {
      case "connected":
        this.#wait = FIRST_WAIT;
        this.#say("connected");
        break;
      case "disconnected":
        setTimeout(() => connection.connectionState === "disconnected" && this.#lost(connection), DISCONNECTED);
        break;
      case "failed":
      case "closed":
        this.#lost(connection);
    }
  }

  /** A server that dies says nothing, and browsers take their time to notice. */
  #watch(connection) {
    let [bytes, since] = [0, performance.now()];
    const watching = setInterval(async () => {
      if (this.#connection !== connection) return clearInterval(watching);
      const now = await bytesReceived(connection);
      if (now !== bytes) [bytes, since] = [now, performance.now()];
      else if (bytes > 0 && performance.now() - since > SILENT) this.#lost(connection);
    }, LISTEN_EVERY);
  }

  #lost(connection) {
    if (this.#connection !== connection) return;
    this.#hangUp();
    this.#again();
  }

  #again() {
    if (!this.#stream) return;
    this.#say("lost");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        await this.#connect();
      } catch {
        this.#hangUp();
        this.#again();
      }
    }, this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }

  #say(state) {
    this.#tell(state, this.#brings);
  }

  #hangUp() {
    const [connection, resource] = [this.#connection, this.#resource];
    this.#connection = this.#resource = null;
    this.#brings = false;
    connection?.close();
    const headers = { Authorization: `Bearer ${this.#token}` };
    if (resource) fetch(resource, { method: "DELETE", headers, keepalive: true }).catch(() => {});
  }
}

/** The sound of the microphone; `raw` as it is, else with the browser's echo and noise reduction. Throws an `Error` that
 * says what to do, or what `instead`. */
export async function listen(raw, instead = say("script.microphone.read")) {
  if (!navigator.mediaDevices) throw new Error(say("script.microphone.unsafe"));
  const wanted = { echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw, channelCount: 1 };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: wanted });
  } catch (error) {
    const none = ["NotFoundError", "OverconstrainedError", "NotReadableError"].includes(error.name);
    throw new Error(say(none ? "script.microphone.none" : "script.microphone.refused", { instead }));
  }
}

/** 0 where the browser does not count. */
async function bytesReceived(connection) {
  let bytes = 0;
  for (const stats of (await connection.getStats()).values()) {
    if (stats.type === "transport" || stats.type === "candidate-pair") bytes += stats.bytesReceived ?? 0;
  }
  return bytes;
}

function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    setTimeout(done, GATHERING);
    connection.addEventListener("icegatheringstatechange", () => connection.iceGatheringState === "complete" && done());
  });
}

function meterOf(stream) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const read = () => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    return Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-12) + 60) / 60)); // -60 dBFS is nothing
  };
  return { read, close: () => context.close() };
}
