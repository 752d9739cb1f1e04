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
  #voices = new Map(); // utterance of a shared microphone -> {first, count, speaker} of each run of its words
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
    for (const event of events) event.type === "voices" ? this.#label(event) : this.#take(event);
    this.#settle();
  }

  /** Who said a caption, as far as it is known: the one voice that said all of it, else the participant. */
  speaker(event) {
    const voices = new Set(pieces(event, this.#voices.get(event.utterance)).map((piece) => piece.speaker ?? event.speaker));
    return voices.size === 1 ? [...voices][0] : event.speaker;
  }

  /** Whether `utterance` has been shown in its final state. */
  isFinal(utterance) {
    return this.#shown.get(utterance)?.event.final ?? false;
  }

  rename(participant, name) {
    for (const entry of this.#shown.values()) {
      if (entry.event.participant !== participant) continue;
      entry.event.speaker = name;
      this.#draw(entry);
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
    if (!known) this.#joinAround(entry.item);
  }

  /** Words get the names of their voices once. Whoever reads further up goes on reading where they are. */
  #label({ utterance, runs }) {
    this.#voices.set(utterance, runs);
    const entry = this.#shown.get(utterance);
    if (!entry) return;
    const read = this.#following ? null : this.#firstWhole();
    const before = read?.getBoundingClientRect().top;
    this.#draw(entry);
    this.#joinAround(entry.item);
    if (read) this.#scroll.scrollTop += read.getBoundingClientRect().top - before;
  }

  /** The first caption of which nothing is above what is seen. */
  #firstWhole() {
    const { top } = this.#scroll.getBoundingClientRect();
    const items = this.#list.children;
    let [from, to] = [0, items.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (items[middle].getBoundingClientRect().top < top) from = middle + 1;
      else to = middle;
    }
    return items[from];
  }

  #add(event) {
    const entry = { event, start: event.words[0]?.start ?? event.sent_at, ...newItem(event, this.#people) };
    const after = this.#lastBefore(entry.start);
    if (after) after.item.after(entry.item);
    else this.#list.prepend(entry.item);
    this.#shown.set(event.utterance, entry);
    this.#list.entries ??= new WeakMap();
    this.#list.entries.set(entry.item, entry);
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

  #joinAround(item) {
    this.#join(item);
    this.#join(item.nextElementSibling);
  }

  /** A caption right after another of the same participant, and voice, goes on under the same name. */
  #join(item) {
    if (!item) return;
    const before = item.previousElementSibling?.dataset;
    const { participant, first } = item.dataset;
    item.classList.toggle("same", before?.participant === participant && before.last === first);
  }

  #draw({ event, item, parts }) {
    const said = pieces(event, this.#voices.get(event.utterance));
    const names = said.map((piece) => piece.speaker).filter(Boolean);
    const first = said[0]?.speaker ?? event.speaker;
    Object.assign(item.dataset, { final: String(event.final), first, last: names.at(-1) ?? first });
    parts.words.lang = event.language || language;
    write(parts.name, first);
    drawPieces(parts.committed, said);
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

/** The committed text as pieces of one voice each, `speaker` undefined where it is not known who said it, or not yet. */
function pieces({ committed, words }, runs = []) {
  if (!runs.length) return [{ text: committed.trimStart() }];
  const found = [];
  words.forEach(({ text }, place) => {
    const speaker = runs.find(({ first, count }) => first <= place && place < first + count)?.speaker;
    if (found.length && found.at(-1).speaker === speaker) found.at(-1).text += text;
    else found.push({ speaker, text, labelled: true });
  });
  if (found.length) found[0].text = found[0].text.trimStart();
  return found;
}

/** A piece begins with the name of its voice where that is another one than before; the first is named above. */
function drawPieces(committed, said) {
  while (committed.childElementCount > said.length) committed.lastElementChild.remove();
  let before = said[0]?.speaker;
  said.forEach(({ speaker, text, labelled }, place) => {
    const piece = committed.children[place] ?? committed.appendChild(newPiece());
    const [voice, words] = piece.children;
    const isNamed = Boolean(speaker) && speaker !== before;
    voice.hidden = !isNamed;
    write(voice, isNamed ? speaker : "");
    words.classList.toggle("unsure", Boolean(labelled) && !speaker);
    write(words, text);
    before = speaker ?? before;
  });
}

function newPiece() {
  const [piece, voice, words] = ["span", "bdi", "span"].map((tag) => document.createElement(tag));
  voice.className = "voice";
  piece.append(voice, words);
  return piece;
}

function newItem(event, people) {
  const item = document.createElement("li");
  item.className = `caption ${people.look(event.participant)}`;
  Object.assign(item.dataset, { utterance: event.utterance, participant: event.participant });
  const [speaker, name, time, unfinished] = ["p", "bdi", "time", "span"].map((tag) => document.createElement(tag));
  speaker.className = "speaker";
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
  else if (text && before.startsWith(text)) element.firstChild.deleteData(text.length, before.length);
  else element.textContent = text;
}
