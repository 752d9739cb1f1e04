// A clip of what somebody says at the microphone of this browser.

import { listen } from "./microphone.js";
import { say } from "./words.js";

export const LEAD = 6; // seconds, so that nobody is cut off, and no screen reader that tells of it is recorded
export const LENGTH = 12; // seconds
const EVERY = 100;

/**
 * Promises a Blob of `LENGTH` seconds, after `LEAD`. `begin()` is called once the browser gave the microphone;
 * `tell(key, left, part)` is told what happens, how many seconds are left of it and which part of it is over. Throws an
 * `Error` that says what to do, or what `signal` was aborted with.
 */
export async function recordClip(begin, tell, signal) {
  const instead = say("script.microphone.file");
  const stream = await listen(false, instead);
  try {
    signal.throwIfAborted();
    begin();
    await counted(LEAD, (left, part) => tell("script.enrol.lead", left, part), signal);
    if (!stream.active) throw new Error(say("script.microphone.none", { instead })); // it was unplugged meanwhile
    const recorder = new MediaRecorder(stream);
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((done) => (recorder.onstop = done));
    recorder.start();
    await counted(LENGTH, (left, part) => tell("script.enrol.left", left, part), signal);
    if (recorder.state !== "inactive") recorder.stop(); // it is, where the microphone was unplugged
    await stopped;
    return new Blob(parts, { type: recorder.mimeType });
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

/** Waits for so many seconds and tells of them. */
function counted(seconds, tell, signal) {
  const begun = performance.now();
  return new Promise((done, failed) => {
    const tick = () => {
      const over = (performance.now() - begun) / 1000;
      if (signal.aborted || over >= seconds) clearInterval(ticking);
      if (signal.aborted) failed(signal.reason);
      else if (over >= seconds) done();
      else tell(Math.ceil(seconds - over), over / seconds);
    };
    const ticking = setInterval(tick, EVERY);
    tick();
  });
}
