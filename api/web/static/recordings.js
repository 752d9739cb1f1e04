// Recordings: uploaded with their progress, then followed while they are transcribed.

import { chosenMetadata } from "./metadata.js";
import { ask, showRefusal, upload } from "./server.js";
import { localiseTimes, say } from "./words.js";

const at = (id) => document.getElementById(id);
const form = at("upload");
const EVERY = 1_500;
const STEP = 25; // per cent: how often a screen reader is told

const rows = new Map(); // id of the recording -> its row
const told = new Map();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { file, language } = form.elements;
  const missing = file.files.length === 0;
  file.setAttribute("aria-invalid", String(missing));
  at("upload-error").textContent = missing ? say("script.file.missing") : "";
  if (missing) {
    file.focus();
    return;
  }
  const button = form.querySelector("button");
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  const metadata = await chosenMetadata(form);
  if (metadata) await send(file, language, metadata);
  button.ariaDisabled = "false";
});

/** The recording goes last: what is small is there before it. */
async function send(file, language, metadata) {
  const body = new FormData();
  if (language.value) body.append("languages", language.value);
  for (const [name, value] of Object.entries(metadata)) body.append(name, value);
  body.append("file", file.files[0]);
  const row = newRow(file.files[0].name);
  try {
    const recording = await upload("/api/v1/recordings", body, (part) => progress(row, "script.uploading", part));
    rows.set(recording.id, row);
    draw(recording);
    form.reset();
    follow();
  } catch (error) {
    row.item.remove();
    showRefusal(at("upload-error"), error);
  }
  none();
}

function newRow(title) {
  const item = document.createElement("li");
  const what = document.createElement("div");
  what.className = "what";
  const name = document.createElement("strong");
  const bdi = document.createElement("bdi");
  bdi.textContent = title;
  name.append(bdi);
  const time = document.createElement("time");
  time.className = "soft small";
  const state = document.createElement("span");
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", title);
  const error = document.createElement("p");
  error.className = "error";
  error.lang = "en";
  what.append(name, time, state, bar, error);
  const acts = document.createElement("div");
  acts.className = "row";
  item.append(what, acts);
  at("recordings").prepend(item);
  none();
  return { item, name: bdi, time, state, bar, error, acts, drawn: null };
}

function progress(row, key, part) {
  const percent = Math.floor(part * 100);
  row.state.textContent = say(key, { percent });
  row.bar.value = part;
}

function draw(recording) {
  const row = rows.get(recording.id) ?? newRow(recording.title);
  rows.set(recording.id, row);
  const { state } = recording;
  row.name.textContent = recording.title;
  row.bar.setAttribute("aria-label", recording.title);
  row.bar.hidden = state === "done" || state === "failed";
  progress(row, `script.recording.${state}`, recording.progress);
  row.error.textContent = recording.error ?? "";
  tell(recording, row);
  if (row.drawn === state) return;
  row.drawn = state;
  row.time.dateTime = recording.created_at;
  localiseTimes(row.item);
  const link = document.createElement("a");
  link.className = "button";
  link.href = `/meetings/${recording.meeting}/transcript`;
  link.textContent = say("script.recording.open");
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "button";
  remove.textContent = say("script.remove");
  remove.setAttribute("aria-label", say("script.recording.remove", { name: recording.title }));
  remove.addEventListener("click", () => forget(recording.id, row));
  row.acts.replaceChildren(...(recording.meeting ? [link] : []), remove);
}

/** Says to screen readers how far it is, at some steps only. */
function tell({ id, state, progress: part, title }, row) {
  const step = state === "running" ? Math.floor((part * 100) / STEP) : state;
  if (told.get(id) === step) return;
  if (told.has(id)) at("said").textContent = `${title}: ${row.state.textContent}`;
  told.set(id, step);
}

async function forget(id, row) {
  try {
    await ask("DELETE", `/api/v1/recordings/${id}`);
    row.item.remove();
    rows.delete(id);
    none();
    form.elements.file.focus();
  } catch (error) {
    showRefusal(row.error, error);
  }
}

function none() {
  at("recordings-none").hidden = at("recordings").childElementCount > 0;
}

let timer = 0;

async function follow() {
  clearTimeout(timer);
  let goesOn = false;
  try {
    const { recordings } = await ask("GET", "/api/v1/recordings");
    for (const recording of recordings.reverse()) draw(recording);
    goesOn = recordings.some(({ state }) => state === "waiting" || state === "running");
  } catch (error) {
    goesOn = error.status === 0; // the server comes back
  }
  if (goesOn) timer = setTimeout(follow, EVERY);
}

follow();
