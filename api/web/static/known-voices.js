// Whose voices are known, on the transcript page: one becomes known, or is forgotten.

import { enrol, forget } from "./enrol.js";
import { showAnew } from "./speakers.js";

const { meeting } = document.getElementById("meeting").dataset;

for (const button of document.querySelectorAll("#known button")) {
  const { participant, name } = button.closest("li").dataset;
  const address = `/api/v1/meetings/${meeting}/participants/${encodeURIComponent(participant)}/enrolment`;
  const place = `#known li[data-participant="${CSS.escape(participant)}"] button`;
  const [change, said] = button.classList.contains("forget")
    ? [forget, "script.forget.done"]
    : [enrol, "script.enrol.done"];
  button.addEventListener("click", () => change(address, name, () => showAnew({ place, said })));
}
