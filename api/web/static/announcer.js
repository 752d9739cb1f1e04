// Tells screen readers each caption once, when it is finished: never words that may still change, never the history
// that somebody who comes late is given. The captions on the page are plain content to go through at one's own pace.

const KEPT = 5;

export class Announcer {
  #log;
  #wanted;

  /** `log` is a polite live region that only additions are read of; `wanted` says whether the reader wants it. */
  constructor(log, wanted) {
    this.#log = log;
    this.#wanted = wanted;
  }

  finished(event) {
    if (!this.#wanted() || !event.committed.trim()) return;
    const line = document.createElement("p");
    line.lang = event.language;
    line.textContent = `${event.speaker}: ${event.committed.trim()}`;
    this.#log.append(line);
    while (this.#log.childElementCount > KEPT) this.#log.firstElementChild.remove();
  }
}
