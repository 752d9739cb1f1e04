// The transcript page: search in it, correct its text and whose it is, delete the meeting.

import { ask, showRefusal } from "./server.js";
import { changed, moveTo, showAnew, voiceField } from "./speakers.js";
import { language, say } from "./words.js";

const at = (id) => document.getElementById(id);
const base = `/api/v1/meetings/${at("meeting").dataset.meeting}`;
const pieces = () => Array.from(document.querySelectorAll(".piece"));

// --- search ---------------------------------------------------------------------------------------------------

let marks = [];
let current = -1;

/** `text` without accents and capitals, and where each of its signs stood. */
function folded(text) {
  const signs = [];
  const places = [];
  let place = 0;
  for (const sign of text) {
    for (const plain of sign.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase()) {
      signs.push(plain);
      places.push(place);
    }
    place += sign.length;
  }
  places.push(text.length);
  return { text: signs.join(""), places };
}

function find(query) {
  for (const piece of pieces()) piece.replaceChildren(piece.textContent);
  marks = [];
  current = -1;
  const wanted = folded(query.trim()).text;
  if (wanted) for (const piece of pieces()) markIn(piece, wanted);
  at("find-next").hidden = marks.length === 0;
  at("found").textContent = wanted ? say("script.found", { count: marks.length }) : "";
}

function markIn(piece, wanted) {
  const text = piece.textContent;
  const { text: plain, places } = folded(text);
  const parts = [];
  let done = 0;
  for (let from = plain.indexOf(wanted); from >= 0; from = plain.indexOf(wanted, from + wanted.length)) {
    const [start, end] = [places[from], places[from + wanted.length]];
    const mark = document.createElement("mark");
    mark.textContent = text.slice(start, end);
    mark.tabIndex = -1;
    parts.push(text.slice(done, start), mark);
    marks.push(mark);
    done = end;
  }
  if (parts.length) piece.replaceChildren(...parts, text.slice(done));
}

function goOn() {
  current = (current + 1) % marks.length;
  const mark = marks[current];
  mark.scrollIntoView({ block: "center" });
  for (const each of marks) each.classList.toggle("current", each === mark);
  at("found").textContent = say("script.found.at", {
    count: `${current + 1}/${marks.length}`,
    at: mark.closest(".piece").dataset.at,
  });
}

at("find").addEventListener("submit", (event) => {
  event.preventDefault();
  find(at("q").value);
  if (marks.length) goOn();
});
at("q").addEventListener("input", () => find(at("q").value));
at("find-next").addEventListener("click", goOn);
if (at("q").value) {
  find(at("q").value);
  if (marks.length) goOn();
}

// --- correction -----------------------------------------------------------------------------------------------

at("correct")?.addEventListener("click", ({ currentTarget: button }) => {
  const begins = button.getAttribute("aria-pressed") === "false";
  button.setAttribute("aria-pressed", String(begins));
  document.querySelectorAll(".edit, .segment-form").forEach((each) => each.remove());
  for (const piece of pieces()) {
    piece.hidden = false;
    if (begins) piece.after(editButton(piece));
  }
});

function nameOf(piece) {
  const speaker = piece.closest(".turn").querySelector(".speaker bdi").textContent;
  return say("script.correct.one", { speaker, at: piece.dataset.at });
}

function editButton(piece) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "edit";
  button.textContent = "✎";
  button.setAttribute("aria-label", nameOf(piece));
  button.title = nameOf(piece);
  button.addEventListener("click", () => edit(piece, button));
  return button;
}

/** `typed` is what was written for this piece before the page was read anew. Gives the field of its text. */
function edit(piece, button, typed) {
  const form = document.createElement("form");
  form.className = "segment-form";
  form.dataset.segment = piece.dataset.segment;
  form.dataset.was = piece.textContent;
  const text = document.createElement("textarea");
  text.name = "text";
  text.value = piece.textContent;
  text.lang = piece.lang;
  text.rows = Math.max(2, Math.ceil(text.value.length / 60));
  text.setAttribute("aria-label", nameOf(piece));
  const error = document.createElement("p");
  error.className = "error";
  error.setAttribute("role", "alert");
  const [save, cancel] = ["script.correct.save", "script.cancel"].map((key, place) => {
    const each = document.createElement("button");
    each.type = place ? "button" : "submit";
    each.className = place ? "button" : "button main";
    each.textContent = say(key);
    return each;
  });
  const row = document.createElement("div");
  row.className = "row";
  row.append(save, cancel);
  const turn = piece.closest(".turn");
  const whose = voiceField(turn);
  form.append(text, ...(typed ? [kept(typed, piece.lang)] : []), ...(whose ? [whose] : []), error, row);
  const close = () => {
    form.remove();
    piece.hidden = button.hidden = false;
    button.focus();
  };
  cancel.addEventListener("click", close);
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const count = piece.dataset.count === undefined ? null : Number(piece.dataset.count);
    try {
      const chosen = form.elements.voice?.value ?? turn.dataset.voice;
      if (text.value !== piece.textContent) {
        await ask("PATCH", `${base}/segments/${encodeURIComponent(piece.dataset.segment)}`, { text: text.value, count });
        piece.textContent = text.value.trim();
      }
      if (chosen !== turn.dataset.voice) {
        await moveTo(piece.dataset.segment, count, chosen);
        return;
      }
      close();
      at("said").textContent = say("script.corrected");
    } catch (refused) {
      const typed = text.value === piece.textContent ? "" : text.value;
      if (refused.status === 409) offerAnew(error, { segment: piece.dataset.segment, typed });
      else showRefusal(error, refused);
    }
  });
  piece.hidden = button.hidden = true;
  button.after(form);
  text.focus();
  return text;
}

/** The piece is not as it was shown: offers to read the page anew, which keeps what was `typed`. */
function offerAnew(error, typed) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = say("script.correct.reload");
  button.addEventListener("click", () => showAnew(typed));
  error.replaceChildren(say("script.correct.changed"), " ", button);
}

/** What was typed before, to be read and copied. */
function kept(typed, lang) {
  const quote = document.createElement("p");
  const words = document.createElement("q");
  words.lang = lang;
  words.textContent = typed;
  quote.append(say("script.correct.typed"), " ", words);
  return quote;
}

/** The utterance that `segment` is a part of, and its first word. */
function placeOf(segment) {
  const [, utterance, first] = segment.match(/^(.*?)(?:\/(\d+))?$/);
  return [utterance, Number(first ?? 0)];
}

/** The piece that holds the first word of `segment` now. */
function pieceOf(segment) {
  const [utterance, first] = placeOf(segment);
  const before = pieces().filter(({ dataset }) => {
    const [mine, place] = placeOf(dataset.segment);
    return mine === utterance && place <= first;
  });
  return before.at(-1);
}

if (changed.segment) {
  at("correct")?.click();
  const piece = pieceOf(changed.segment);
  const button = piece?.nextElementSibling;
  if (changed.typed === undefined) button?.focus();
  else if (button) edit(piece, button, changed.typed);
  else if (changed.typed) at("said").textContent = `${say("script.correct.typed")} ${changed.typed}`;
}

/** Opens a correction again that was begun before the page was read anew. */
function goOnWith({ segment, was, text }) {
  const piece = pieceOf(segment);
  const button = piece?.nextElementSibling;
  if (!button) return;
  if (piece.textContent === was) edit(piece, button).value = text;
  else edit(piece, button, text);
}

if (changed.begun?.length) {
  const focused = document.activeElement;
  if (at("correct")?.getAttribute("aria-pressed") === "false") at("correct").click();
  changed.begun.forEach(goOnWith);
  focused.focus();
}

// --- deletion -------------------------------------------------------------------------------------------------

at("delete-form")?.addEventListener("submit", async (event) => {
  if (event.submitter.value !== "delete") return;
  event.preventDefault();
  try {
    await ask("DELETE", base);
    location.assign("/");
  } catch (refused) {
    showRefusal(at("delete-error"), refused);
  }
});
