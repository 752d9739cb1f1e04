// Who spoke, on the transcript page: names of voices, voices that are one person, whose words a piece is.

import { recall, remember, TAB } from "./memory.js";
import { ask, showRefusal } from "./server.js";
import { say } from "./words.js";

const KEY = "greffier.changed";
const at = (id) => document.getElementById(id);
const base = `/api/v1/meetings/${at("meeting").dataset.meeting}`;
const choices = JSON.parse(at("choices")?.textContent ?? "{}");

/** Reads the page anew, since voices divide it into turns; `changed` says where the focus goes then. */
export function showAnew(changed) {
  const open = [...document.querySelectorAll(".segment-form")].map(({ dataset, elements }) => ({
    segment: dataset.segment,
    was: dataset.was,
    text: elements.text.value,
  }));
  const begun = open.filter(({ segment, was, text }) => segment !== changed.segment && text.trim() !== was.trim());
  remember(KEY, { ...changed, begun }, TAB);
  location.reload();
}

/** What was changed just before the page was read anew: the selector `place`, with what is `said` of it, or the id of a
 * `segment`, or what was `typed` for one that was not as it was shown any more; and corrections that were `begun`. */
export const changed = recall(KEY, TAB);
if (changed.place || changed.segment) {
  remember(KEY, {}, TAB);
  if (changed.typed === undefined) at("said").textContent = say(changed.said ?? "script.corrected");
}
if (changed.place) {
  const place = document.querySelector(changed.place) ?? at("main");
  place.closest("details")?.setAttribute("open", "");
  place.focus();
}

function option(value, text) {
  const each = document.createElement("option");
  each.value = value;
  each.textContent = text;
  return each;
}

/** A labelled select of whose words the piece of `turn` may be; null where one person speaks at the microphone. */
export function voiceField(turn) {
  const { owner, voice } = turn.dataset;
  if (!(owner in choices)) return null;
  const { name, voices } = choices[owner];
  const label = document.createElement("label");
  label.className = "field";
  const select = document.createElement("select");
  select.name = "voice";
  select.append(
    ...voices.map(([number, speaker]) => option(number, speaker)),
    option(0, say("script.speaker.alone", { name })),
    option("new", say("script.speaker.new")),
  );
  select.value = voice;
  label.append(say("script.speaker.who"), select);
  return label;
}

/** Gives the `count` words of `segment` to the chosen voice and reads the page anew. Throws `Refused`. */
export async function moveTo(segment, count, chosen) {
  const voice = chosen === "new" ? null : Number(chosen);
  await ask("PUT", `${base}/segments/${encodeURIComponent(segment)}/voice`, { voice, count });
  showAnew({ segment });
}

// --- names and merges -----------------------------------------------------------------------------------------

const form = at("speaker-form");
let changing = null;

const addressOf = ({ owner, voice }) => {
  const participant = `${base}/participants/${encodeURIComponent(owner)}`;
  return voice === "0" ? participant : `${participant}/voices/${voice}`;
};
const rowOf = ({ owner, voice }) =>
  `.speakers li[data-owner="${CSS.escape(owner)}"][data-voice="${CSS.escape(voice)}"] button`;

for (const button of document.querySelectorAll(".speakers .change")) {
  button.addEventListener("click", () => {
    changing = button.closest("li").dataset;
    const others = JSON.parse(changing.others);
    const { name, same } = form.elements;
    name.value = changing.name;
    name.required = changing.voice === "0";
    at("speaker-hint").hidden = changing.voice === "0";
    at("speaker-others").hidden = others.length === 0;
    same.replaceChildren(
      option("", say("script.speaker.nobody")),
      ...others.map(([number, speaker]) => option(number, speaker)),
    );
    at("speaker-error").textContent = "";
    at("speaker-dialog").showModal();
    name.focus();
  });
}

at("speaker-cancel")?.addEventListener("click", () => at("speaker-dialog").close());
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, same } = form.elements;
  const wanted = {};
  if (name.value.trim() !== changing.name) wanted.name = name.value.trim(); // left empty: by its number
  if (same.value) wanted.merged_into = Number(same.value);
  try {
    if (Object.keys(wanted).length) await ask("PATCH", addressOf(changing), wanted);
    showAnew({ place: rowOf(changing) });
  } catch (refused) {
    showRefusal(at("speaker-error"), refused);
  }
});

for (const button of document.querySelectorAll(".speakers .part")) {
  button.addEventListener("click", async () => {
    const { dataset } = button.closest("li");
    try {
      await ask("PATCH", addressOf(dataset), { merged_into: null });
      showAnew({ place: rowOf(dataset) });
    } catch (refused) {
      showRefusal(at("said"), refused);
    }
  });
}
