// The metadata file of a Visio meeting, chosen beside its recording: looked at before anything is sent.

import { say } from "./words.js";

const at = (id) => document.getElementById(id);
const ZONED = /(?:Z|[+-]\d\d:?\d\d)$/;

/** The first moment in a metadata file, in milliseconds since 1970; null where nothing is in it. Throws for other files. */
function firstMoment(text) {
  const { events, participants } = JSON.parse(text);
  const moments = events.map(({ participant_id, type, timestamp }) => {
    const moment = ZONED.test(timestamp) ? Date.parse(timestamp) : Number.NaN;
    if (typeof participant_id !== "string" || typeof type !== "string" || Number.isNaN(moment)) throw new Error(type);
    return moment;
  });
  if (!participants.every(({ participantId }) => typeof participantId === "string")) throw new Error("participants");
  return moments.length ? moments.reduce((first, each) => Math.min(first, each)) : null;
}

/** What is wrong with the file, in words, and its first moment. */
async function look(file, longest) {
  if (file.size > longest) return { wrong: say("script.metadata.large", { limit: longest / 1e6 }), moment: null };
  try {
    return { wrong: "", moment: firstMoment(await file.text()) };
  } catch {
    return { wrong: say("script.metadata.wrong"), moment: null };
  }
}

/** A moment as fields of the kind `datetime-local` have it, by the clock of this device. */
function local(moment) {
  const shift = new Date(moment).getTimezoneOffset() * 60_000;
  return new Date(Math.round((moment - shift) / 1000) * 1000).toISOString().slice(0, 19);
}

function tell(field, error, text) {
  error.textContent = text;
  field.setAttribute("aria-invalid", String(text !== ""));
  if (text) field.focus();
  return text === "";
}

let looked = null; // at what was chosen, once it is known

/** Says what is wrong with the file and how to do without; whether nothing is. */
function judge(chosen, wrong) {
  const good = tell(chosen, at("metadata-error"), wrong);
  if (!good) {
    const without = document.createElement("button");
    without.type = "button";
    without.className = "button";
    without.textContent = say("script.metadata.without");
    without.addEventListener("click", () => {
      chosen.value = "";
      chosen.dispatchEvent(new Event("change"));
      chosen.focus();
    });
    at("metadata-error").append(" ", without);
  }
  return good;
}

async function consider(chosen) {
  const [file] = chosen.files;
  const looking = file ? look(file, Number(chosen.dataset.longest)) : null;
  looked = looking;
  const found = await looking;
  if (looked !== looking) return; // another one was chosen meanwhile
  const good = judge(chosen, found?.wrong ?? "");
  at("began").hidden = !file || !good;
  at("upload-began").value = found?.moment == null ? "" : local(found.moment);
}

at("upload-metadata")?.addEventListener("change", ({ currentTarget }) => consider(currentTarget));
// Browsers choose the same file again, and tell nobody, where a page is read anew or gone back to.
addEventListener("pageshow", () => {
  if (!looked && at("upload-metadata")?.files.length) consider(at("upload-metadata"));
});
at("upload-metadata")?.form.addEventListener("reset", () => {
  looked = null;
  at("began").hidden = true;
});

/** The parts of a form that go with a recording, none where no metadata is chosen; null once something wrong is told. */
export async function chosenMetadata({ elements: { metadata, began } }) {
  const found = await looked;
  if (!found) return {};
  if (!judge(metadata, found.wrong)) return null;
  const moment = new Date(began.value); // none, too, for a year of six figures, which fields let through
  if (!tell(began, at("began-error"), Number.isNaN(moment.valueOf()) ? say("script.metadata.began") : "")) return null;
  return { started_at: moment.toISOString(), metadata: metadata.files[0] };
}
