// The live page: join, read, speak, and what concerns everybody in the meeting.

import { Announcer } from "./announcer.js";
import { CaptionList } from "./captions.js";
import { Feed } from "./feed.js";
import { announces } from "./look.js";
import { TAB, recall, remember } from "./memory.js";
import { Microphone } from "./microphone.js";
import { offerVoice } from "./my-voice.js";
import { Notices } from "./notices.js";
import { People } from "./people.js";
import { ask, showRefusal } from "./server.js";
import { say } from "./words.js";

const at = (id) => document.getElementById(id);
const meeting = at("meeting").dataset.meeting;
const base = `/api/v1/meetings/${meeting}`;
const SOLVED_BY = { delayed: "in_time", engine_down: "engine_up", not_kept: "kept" };
const HAPPENED = new Set(["cut", "sound_lost"]);
const WAITING = "waiting"; // nobody captions the meeting yet: the next caption says that somebody does
const ME = "greffier.me";
const MINE = "greffier.participant"; // who this tab is in which meeting: another tab is somebody else
const LEVEL_EVERY = 100;
const PATIENCE = 5_000;
const CONFIRMED = 3_000;

const notices = new Notices(at("notices"));
const people = new People(at("people"));
const captions = new CaptionList(at("scroll"), at("captions"), at("empty"), at("newest"), people);
const announcer = new Announcer(at("announcer"), announces);
const feed = new Feed(socketAddress, askAfter, read, (connected) => notices.set("lost", !connected));
const microphone = new Microphone(JSON.parse(at("meeting").dataset.ice), join, heardBack, microphoneChanged);

let paused = false;
let over = false;
let cut = "cut" in at("meeting").dataset;
let known = false; // whether the meeting has told its state since the WebSocket was opened
let early = []; // what came back with the microphone before it
let isFirst = true;
let brought = false; // whether captions come with the microphone's own connection
let joined = null; // {participant, token, expires_at, whip}
let level = 0;
let hushed = false; // whether the microphone is or was turned off for a clip of this voice

// --- what comes from the meeting ----------------------------------------------------------------------------

/** Where to read on. After a loss it is first asked what became of the meeting meanwhile. */
async function socketAddress(cursor) {
  if (cursor !== null) await askAfter();
  const address = new URL(`${base}/captions.ws`, location);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (cursor !== null) address.searchParams.set("after", cursor);
  return address;
}

async function askAfter() {
  const state = await ask("GET", base, undefined, { timeout: PATIENCE }).catch((error) => {
    if (error.status === 0 || error.status >= 500) throw error;
    finish(error.status === 404 ? "deleted" : "signin");
    throw error;
  });
  if (state.cut && !cut) notices.show("cut");
  cut = state.cut;
}

/** Captions come with the microphone's own connection while it stands, else by WebSocket, which knows the meeting. */
function chooseSource() {
  if (over) return;
  if (brought && known) {
    feed.close();
    notices.clear("lost");
  } else if (feed.open()) {
    known = false;
  }
}

function heardBack(event) {
  if (known) feed.take(event);
  else if (early.push(event) === 1) setTimeout(takeEarly, PATIENCE); // where WebSockets do not get through
}

function takeEarly() {
  known = true;
  for (const event of early.splice(0)) feed.take(event);
}

function read(event) {
  switch (event.type) {
    case "snapshot":
      snapshot(event);
      break;
    case "caption":
      caption(event);
      break;
    case "voices":
      captions.show([event]);
      break;
    case "participant":
      people.know(event.participant, event.speaker, event.present);
      if (event.state === "renamed") captions.rename(event.participant, event.speaker);
      break;
    case "notice":
      notice(event.code);
      break;
    case "meeting":
      title(event.title);
      notices.clear(WAITING);
      if (event.state === "ended") ended();
  }
}

function snapshot({ title: named, state, paused: isPaused, participants, events }) {
  title(named);
  for (const { participant, speaker, present } of participants) people.know(participant, speaker, present);
  // The history is shown; what was missed while the connection was lost is told too.
  if (isFirst) captions.show(events);
  else events.forEach(read);
  isFirst = false;
  setPaused(isPaused);
  takeEarly();
  if (state === "ended") ended();
  chooseSource();
}

function caption(event) {
  notices.clear(WAITING);
  const isNews = event.final && !captions.isFinal(event.utterance);
  captions.show([event]);
  if (isNews) announcer.finished({ ...event, speaker: captions.speaker(event) });
}

function notice(code) {
  if (code === "paused" || code === "resumed") setPaused(code === "paused");
  else if (code in SOLVED_BY || HAPPENED.has(code) || code === WAITING) notices.show(code);
  else for (const [trouble, solved] of Object.entries(SOLVED_BY)) if (solved === code) notices.clear(trouble);
}

function title(text) {
  if (!text) return;
  at("title").textContent = text;
  document.title = `${text} · Greffier`;
}

function setPaused(value) {
  paused = value;
  notices.set("paused", paused && !over);
  at("state").textContent = say(over ? "script.state.ended" : paused ? "script.state.paused" : "script.state.open");
  at("state").className = `badge ${over ? "" : paused ? "warn" : "live"}`;
  const button = at("pause");
  if (!button) return;
  button.dataset.icon = paused ? "resume" : "pause";
  button.querySelector("span").textContent = say(paused ? "script.resume" : "script.pause");
}

function ended() {
  finish("ended", `/meetings/${meeting}/transcript`);
}

/** Nothing more comes: the meeting is over, or out of reach. */
function finish(code, link) {
  if (over) return;
  over = true;
  feed.close();
  stopSpeaking();
  for (const each of ["lost", "microphone", ...Object.keys(SOLVED_BY), WAITING, "sample"]) notices.clear(each);
  setPaused(false);
  notices.show(code, link);
  for (const button of document.querySelectorAll('#microphone, #pause, #sample, [data-opens="end-dialog"]')) idle(button);
  at("join").hidden = true;
  mode();
}

// --- joining and the microphone -----------------------------------------------------------------------------

function enter() {
  const isInside = !at("stage").hidden;
  at("join").hidden = true;
  at("stage").hidden = false;
  chooseSource();
  mode();
  (isInside ? at("microphone") : at("captions-title")).focus();
}

/** Joins, or joins again as the same participant when the token is old. */
async function join() {
  if (joined && new Date(joined.expires_at) - Date.now() > 60_000) return joined;
  const { name, language, shared } = at("speak").elements;
  const spoken = { languages: language.value ? [language.value] : [], shared_room: shared.checked || null };
  const wanted = { name: name.value.trim(), mode: "publish", ...spoken };
  const id = joined?.participant ?? recall(MINE, TAB)[meeting];
  joined = await ask("POST", `${base}/participants`, id ? { ...wanted, id } : wanted);
  remember(MINE, { [meeting]: joined.participant }, TAB);
  people.me = joined.participant;
  offerVoice(base, joined, hush).catch(() => {}); // it is offered again on joining anew
  return joined;
}

/** Turns the microphone off for a while, and on again where it was on. */
function hush(isWanted) {
  if (isWanted) hushed = microphone.wanted && !microphone.muted;
  if (!hushed || !microphone.wanted) return;
  microphone.mute(isWanted);
  mode();
}

async function speak() {
  const { raw } = at("speak").elements;
  at("speak-error").textContent = "";
  try {
    await microphone.start({ raw: raw.checked });
  } catch (error) {
    if (error.status === undefined) at("speak-error").textContent = error.message;
    else showRefusal(at("speak-error"), error);
    return false;
  }
  level = setInterval(() => (at("level").value = microphone.level()), LEVEL_EVERY);
  return true;
}

function stopSpeaking() {
  microphone.stop();
  clearInterval(level);
  notices.clear("microphone");
}

function microphoneChanged(state, brings) {
  if (state === "unplugged") {
    stopSpeaking();
    at("controls-error").textContent = say("script.microphone.unplugged");
  }
  notices.set("microphone", state === "lost" && !over);
  brought = brings;
  chooseSource();
  mode(state === "connecting");
}

function mode(connecting = false) {
  const state = !microphone.wanted ? "read" : connecting ? "connecting" : microphone.muted ? "muted" : "speak";
  at("mode").textContent = over || at("stage").hidden ? "" : say(`script.mode.${state}`);
  const button = at("microphone");
  if (!button) return;
  button.dataset.icon = state === "speak" || state === "connecting" ? "microphone" : "muted";
  const text = { read: "allow", muted: "on" }[state] ?? "off";
  button.querySelector("span").textContent = say(`script.microphone.${text}`);
  at("level").hidden = state === "read" || state === "muted";
}

at("read").addEventListener("click", enter);

at("speak")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.name;
  const missing = !name.value.trim();
  name.setAttribute("aria-invalid", String(missing));
  if (missing) {
    at("speak-error").textContent = say("script.name.missing");
    name.focus();
    return;
  }
  rememberMe(form);
  const button = form.querySelector("button");
  if (button.ariaDisabled === "true") return;
  idle(button);
  if (await speak()) enter();
  idle(button, false);
});

at("microphone")?.addEventListener("click", async ({ currentTarget: button }) => {
  if (button.ariaDisabled === "true") return;
  if (microphone.wanted) {
    microphone.mute(!microphone.muted);
    mode();
  } else if (at("speak").elements.name.value.trim()) {
    if (!(await speak())) at("controls-error").replaceChildren(...at("speak-error").cloneNode(true).childNodes);
    mode();
  } else {
    // The name is asked for first.
    at("join").hidden = false;
    at("speak").elements.name.focus();
  }
});

function rememberMe(form) {
  const { name, language, raw } = form.elements;
  remember(ME, { name: name.value, language: language.value, raw: raw.checked });
}

if (at("speak")) {
  const { name, language, raw } = at("speak").elements;
  const me = recall(ME);
  [name.value, language.value, raw.checked] = [me.name ?? "", me.language ?? "", me.raw ?? false];
}

// --- for everybody --------------------------------------------------------------------------------------------

/** A button that does nothing now. It can still be reached: one that is disabled would drop the focus. */
function idle(button, isIdle = true) {
  button.setAttribute("aria-disabled", String(isIdle));
}

async function act(button, what) {
  if (button.ariaDisabled === "true") return;
  at("controls-error").textContent = "";
  idle(button);
  try {
    await what();
  } catch (error) {
    showRefusal(at("controls-error"), error);
  } finally {
    idle(button, over);
  }
}

at("pause")?.addEventListener("click", (event) =>
  act(event.currentTarget, () => ask(paused ? "DELETE" : "PUT", `${base}/pause`)),
);

at("sample")?.addEventListener("click", (event) =>
  act(event.currentTarget, async () => {
    const { seconds } = await ask("POST", `${base}/sample`);
    notices.show("sample");
    setTimeout(() => notices.clear("sample"), seconds * 1000);
  }),
);

at("end-form")?.addEventListener("submit", async (event) => {
  if (event.submitter.value !== "end") return;
  await act(document.querySelector('[data-opens="end-dialog"]'), () => ask("POST", `${base}/end`));
});

at("leave").addEventListener("click", () => {
  stopSpeaking();
  feed.close();
  location.assign("/");
});

at("share").addEventListener("click", async ({ currentTarget: button }) => {
  const address = location.origin + location.pathname;
  try {
    await navigator.clipboard.writeText(address);
  } catch {
    prompt(say("script.share.prompt"), address);
    return;
  }
  const text = button.textContent;
  at("said").textContent = button.textContent = say("script.shared");
  setTimeout(() => (button.textContent = text), CONFIRMED);
});

// A page that goes away hangs up, so that the others are told at once.
addEventListener("pagehide", () => microphone.stop());
