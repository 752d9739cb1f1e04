// What readers should know about the captions, beside them and never among them. Told once to screen readers (status).

import { say } from "./words.js";

const BAD = new Set(["lost", "engine_down", "microphone", "not_kept", "deleted", "signin"]);
const CALM = new Set(["paused", "ended", "sample"]);
const PASSING = new Set(["cut", "sound_lost"]); // what has happened and is over: it can be put away
const PUT_AWAY_AFTER = 15_000; // for what needs no reader's eye any longer; the transcript marks each

export class Notices {
  #place;
  #shown = new Map();

  constructor(place) {
    this.#place = place;
    place.setAttribute("aria-atomic", "false");
  }

  show(code, link) {
    if (this.#shown.has(code)) return;
    const notice = document.createElement("p");
    notice.className = `notice ${BAD.has(code) ? "bad" : ""} ${CALM.has(code) ? "calm" : ""}`;
    notice.dataset.code = code;
    const text = document.createElement("span");
    text.textContent = say(`script.notice.${code}`);
    notice.append(text);
    if (link) notice.append(linkTo(link, "script.notice.transcript"));
    if (PASSING.has(code)) notice.append(this.#dismissal(code));
    if (code === "sound_lost") setTimeout(() => this.clear(code), PUT_AWAY_AFTER);
    this.#shown.set(code, notice);
    this.#place.append(notice);
  }

  clear(code) {
    this.#shown.get(code)?.remove();
    this.#shown.delete(code);
  }

  /** Shows or clears. */
  set(code, holds) {
    if (holds) this.show(code);
    else this.clear(code);
  }

  #dismissal(code) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = say("script.dismiss");
    button.addEventListener("click", () => {
      this.clear(code);
      document.getElementById("main").focus({ preventScroll: true }); // the button is gone, and the focus with it
    });
    return button;
  }
}

function linkTo(address, key) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = say(key);
  return link;
}
