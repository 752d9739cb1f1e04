// Lets somebody's voice be known, by their consent: from a sound file, or from what they say here. Nothing is recorded or
// sent before the box is ticked. And forgets it.

import { LEAD, LENGTH, recordClip } from "./clip.js";
import { Refused, ask, showRefusal, upload } from "./server.js";
import { say } from "./words.js";

const at = (id) => document.getElementById(id);
const dialog = at("enrol-dialog");
const form = at("enrol-form");
const { consent, file: chosen } = form.elements;
const errorOf = (place) => at(`enrol-${place}-error`);
const PATIENCE = 120_000; // ms: who waits longer for an answer is let out of the dialog

let enrolling = null; // {address, done}: whose voice
let state = "idle"; // or "recording", "sending", "heard": the server has the clip, and nothing stops it any more
let work = new AbortController();

/** Asks for a clip of `name`'s voice; `address` is that of the enrolment. Calls `done()` once the voice is known. */
export function enrol(address, name, done) {
  enrolling = { address, done };
  form.reset();
  at("enrol-title").textContent = say("script.enrol.title", { name });
  clear();
  become("idle");
  dialog.showModal();
}

/** Shows what can be done now. A button that does nothing can still be reached: one that is disabled would drop the focus. */
function become(next) {
  state = next;
  show("");
  at("enrol-record").querySelector("span").textContent = say(
    state === "recording" ? "script.enrol.stop" : "script.enrol.record",
  );
  at("enrol-record").ariaDisabled = String(state !== "idle" && state !== "recording");
  at("enrol-send").ariaDisabled = String(state !== "idle");
  for (const each of [consent, at("enrol-cancel")]) each.ariaDisabled = String(state === "heard");
}

/** What goes on, and how much of it is over, from 0 to 1; it is not read out, since that would be recorded. */
function show(text, part = 0) {
  const progress = at("enrol-progress");
  const begins = text && progress.hidden;
  progress.hidden = !text;
  if (begins) progress.scrollIntoView({ block: "nearest" });
  at("enrol-left").textContent = text;
  at("enrol-bar").value = part;
}

function clear() {
  at("enrol-status").textContent = "";
  for (const place of ["consent", "file", "record"]) errorOf(place).textContent = "";
  for (const field of [consent, chosen]) field.setAttribute("aria-invalid", "false");
}

/** Says what is missing in `field`, which gets the focus. */
function miss(field, why) {
  clear();
  errorOf(field.name).textContent = why;
  field.setAttribute("aria-invalid", "true");
  field.focus();
}

/** Says why what came from `place`, "file" or "record", was not taken. */
function refuse(place, error) {
  clear();
  if (error instanceof Refused) showRefusal(errorOf(place), error);
  else errorOf(place).textContent = error.message;
}

function hasConsent() {
  if (!consent.checked) miss(consent, say("script.enrol.consent"));
  return consent.checked;
}

/** Sends what `clipOf(signal)` promises, from "file" or "record". */
async function begin(place, clipOf) {
  work = new AbortController();
  const { signal } = work;
  clear();
  become(place === "record" ? "recording" : "sending");
  try {
    await send(await clipOf(signal), signal);
  } catch (error) {
    if (signal.aborted && !(signal.reason instanceof Refused)) return;
    become("idle");
    refuse(place, error);
    return;
  }
  become("idle");
  dialog.close();
  enrolling.done();
}

function stop() {
  if (state === "idle" || state === "heard") return;
  work.abort();
  become("idle");
  at("enrol-status").textContent = say("script.enrol.stopped");
}

function recorded(signal) {
  const begin = () => (at("enrol-status").textContent = say("script.enrol.ready", { lead: LEAD, seconds: LENGTH }));
  return recordClip(begin, (key, left, part) => show(say(key, { left }), part), signal);
}

async function send(clip, signal) {
  signal.throwIfAborted();
  const mine = work;
  become("sending");
  at("enrol-status").textContent = say("script.enrol.sending");
  const progress = (part) => {
    if (part === 1) {
      become("heard");
      setTimeout(() => mine.abort(new Refused(0, say("script.offline"))), PATIENCE);
    }
    show(part === 1 ? say("script.enrol.heard") : say("script.uploading", { percent: Math.floor(part * 100) }), part);
  };
  progress(0);
  await upload(`${enrolling.address}?consent=true`, clip, progress, { method: "PUT", signal });
}

at("enrol-record").addEventListener("click", () => {
  if (state === "recording") stop();
  else if (state === "idle" && hasConsent()) begin("record", recorded);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (state !== "idle" || !hasConsent()) return;
  const [file] = chosen.files;
  if (!file) miss(chosen, say("script.file.missing"));
  else if (file.size > Number(dialog.dataset.largest)) refuse("file", new Refused(413));
  else begin("file", () => file);
});

consent.addEventListener("change", stop); // whoever agreed may think again, and forget the voice once it is known
consent.addEventListener("click", (event) => state === "heard" && event.preventDefault());
at("enrol-cancel").addEventListener("click", () => state === "heard" || dialog.close());
dialog.addEventListener("cancel", (event) => state === "heard" && event.preventDefault());
dialog.addEventListener("close", stop);
at("enrol-microphone").hidden = !window.MediaRecorder;

// --- forget ---------------------------------------------------------------------------------------------------

let forgetting = null;

/** Asks whether to forget `name`'s voice; calls `done()` once that is so. */
export function forget(address, name, done) {
  forgetting = { address, done };
  at("forget-title").textContent = say("script.forget.title", { name });
  at("forget-error").textContent = "";
  at("forget-dialog").showModal();
}

at("forget-form").addEventListener("submit", async (event) => {
  if (event.submitter.value !== "forget") return;
  event.preventDefault();
  try {
    await ask("DELETE", forgetting.address);
  } catch (refused) {
    if (refused.status !== 404) return showRefusal(at("forget-error"), refused);
  } // 404: somebody else had it forgotten
  at("forget-dialog").close();
  forgetting.done();
});
