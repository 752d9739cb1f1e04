// Whoever takes part lets their own voice be known, or has it forgotten, on the live page.

import { ask } from "./server.js";
import { say } from "./words.js";

const button = document.getElementById("my-voice");
let change = null;

button?.addEventListener("click", () => change());

/**
 * Offers it to `participant`, called `name`, of the meeting at `base`. `hush(true)` is called before they may speak for
 * it, which is nothing for captions, and `hush(false)` after that.
 */
export async function offerVoice(base, { participant, name }, hush) {
  if (!button) return;
  const { enrol, forget } = await import("./enrol.js");
  const { participants } = await ask("GET", `${base}/participants`);
  const address = `${base}/participants/${encodeURIComponent(participant)}/enrolment`;
  draw(participants.some((each) => each.participant === participant && each.enrolled));

  function draw(isKnown) {
    button.hidden = false;
    button.textContent = say(isKnown ? "script.voice.forget" : "script.voice.enrol");
    change = () => {
      const done = () => {
        draw(!isKnown);
        document.getElementById("said").textContent = say(isKnown ? "script.forget.done" : "script.enrol.done");
      };
      if (isKnown) {
        forget(address, name, done);
      } else {
        hush(true);
        document.getElementById("enrol-dialog").addEventListener("close", () => hush(false), { once: true });
        enrol(address, name, done);
      }
    };
  }
}
