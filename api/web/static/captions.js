// The captions on the page, in the order in which they began. What is read is never moved away from under the reader.

import { avatar } from "./people.js";
import { clock, language, say } from "./words.js";

const NEAR = 48; // pixels from the end that still count as its end

export class CaptionList {
  #scroll;
  #list;
  #empty;
  #newest;
  #people;
  #shown = new Map(); // utterance -> {event, start, item, parts}
  #following = true;
  #unseen = 0;

  constructor(scroll, list, empty, newest, people) {
    [this.#scroll, this.#list, this.#empty, this.#newest, this.#people] = [scroll, list, empty, newest, people];
    scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    newest.addEventListener("click", () => this.#jump());
    new ResizeObserver(() => this.#settle()).observe(scroll);
  }

  /** Shows the newest states of utterances; those that are older than what is shown are passed over. */
  show(events) {
    for (const event of events) this.#take(event);
    this.#settle();
  }

  /** Whether `utterance` has been shown in its final state. */
  isFinal(utterance) {
    return this.#shown.get(utterance)?.event.final ?? false;
  }

  rename(participant, name) {
    for (const { event, parts } of this.#shown.values()) {
      if (event.participant === participant) parts.name.textContent = name;
    }
  }

  #take(event) {
    const known = this.#shown.get(event.utterance);
    if (known && (known.event.final || known.event.revision > event.revision)) return;
    if (!(event.committed + event.tail).trim()) {
      if (known && event.final) this.#remove(known);
      return;
    }
    const entry = known ?? this.#add(event);
    entry.event = event;
    this.#draw(entry);
  }

  #add(event) {
    const entry = { event, start: event.words[0]?.start ?? event.sent_at, ...newItem(event, this.#people) };
    const after = this.#lastBefore(entry.start);
    if (after) after.item.after(entry.item);
    else this.#list.prepend(entry.item);
    this.#shown.set(event.utterance, entry);
    this.#list.entries ??= new WeakMap();
    this.#list.entries.set(entry.item, entry);
    this.#join(entry.item);
    this.#join(entry.item.nextElementSibling);
    this.#empty.hidden = true;
    if (!this.#following) this.#unseen += 1;
    return entry;
  }

  #remove(entry) {
    const next = entry.item.nextElementSibling;
    entry.item.remove();
    this.#shown.delete(entry.event.utterance);
    this.#join(next);
  }

  /** The last caption shown that began before `start`; nearly always the very last one. */
  #lastBefore(start) {
    let item = this.#list.lastElementChild;
    while (item && this.#list.entries.get(item).start > start) item = item.previousElementSibling;
    return item && this.#list.entries.get(item);
  }

  /** A caption right after another of the same participant goes on under the same name. */
  #join(item) {
    if (!item) return;
    const before = item.previousElementSibling;
    item.classList.toggle("same", before !== null && before.dataset.participant === item.dataset.participant);
  }

  #draw({ event, item, parts }) {
    item.dataset.final = String(event.final);
    parts.words.lang = event.language || language;
    write(parts.committed, event.committed.trimStart());
    write(parts.tail, event.committed ? event.tail : event.tail.trimStart());
    parts.unfinished.textContent = event.final ? "" : ` ${say("script.unfinished")}`;
  }

  #atEnd() {
    return this.#scroll.scrollHeight - this.#scroll.scrollTop - this.#scroll.clientHeight < NEAR;
  }

  #scrolled() {
    this.#following = this.#atEnd();
    if (this.#following) this.#unseen = 0;
    this.#offer();
  }

  #settle() {
    if (this.#following && !this.#isSelecting()) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#offer();
  }

  #isSelecting() {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && this.#list.contains(selection.anchorNode);
  }

  #offer() {
    this.#newest.hidden = this.#following;
    const text = this.#unseen ? say("script.newest.count", { count: this.#unseen }) : say("script.newest");
    write(this.#newest.querySelector("span"), text);
  }

  #jump() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#scroll.focus({ preventScroll: true });
  }
}

function newItem(event, people) {
  const item = document.createElement("li");
  item.className = `caption ${people.look(event.participant)}`;
  Object.assign(item.dataset, { utterance: event.utterance, participant: event.participant });
  const [speaker, name, time, unfinished] = ["p", "bdi", "time", "span"].map((tag) => document.createElement(tag));
  speaker.className = "speaker";
  name.textContent = event.speaker;
  const start = event.words[0]?.start ?? event.sent_at;
  time.textContent = clock(start);
  time.dateTime = `PT${start.toFixed(3)}S`;
  unfinished.className = "visually-hidden";
  speaker.append(name, " ", time, unfinished);
  const [words, committed, tail] = ["p", "span", "span"].map((tag) => document.createElement(tag));
  [words.className, committed.className, tail.className] = ["words", "committed", "tail"];
  words.dir = "auto";
  words.append(committed, tail);
  item.append(avatar(event.speaker), speaker, words);
  return { item, parts: { name, words, committed, tail, unfinished } };
}

/** Changes a text only where it differs, so that a selection in what stays is kept. */
function write(element, text) {
  const before = element.firstChild?.data ?? "";
  if (text === before) return;
  if (before && text.startsWith(before)) element.firstChild.appendData(text.slice(before.length));
  else element.textContent = text;
}
