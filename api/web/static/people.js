// Who takes part, and the colour and shape each one is known by on this page.

import { say } from "./words.js";

const COLOURS = 8;
const SHAPES = 5;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The first signs of the first two words of `name`. */
export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean).slice(0, 2);
  return words.map((word) => graphemes.segment(word)[Symbol.iterator]().next().value.segment.toLocaleUpperCase()).join("") || "?";
}

export function avatar(name) {
  const mark = document.createElement("span");
  mark.className = "avatar";
  mark.setAttribute("aria-hidden", "true");
  mark.textContent = initials(name);
  return mark;
}

export class People {
  #list;
  #all = new Map();
  #me = null;

  constructor(list) {
    this.#list = list;
  }

  /** The classes of the participant `id`: colours and shapes go round in steps that meet after 40 participants. */
  look(id) {
    const place = this.#place(id);
    return `hue-${place % COLOURS} shape-${place % SHAPES}`;
  }

  name(id) {
    return this.#all.get(id)?.name;
  }

  set me(id) {
    this.#me = id;
    for (const each of this.#all.keys()) this.#draw(each);
  }

  /** Somebody came, left or has another name. */
  know(id, name, present) {
    const known = this.#all.get(id);
    this.#all.set(id, { place: known?.place ?? this.#all.size, name: name ?? known?.name ?? "", present, row: known?.row });
    this.#draw(id);
  }

  #place(id) {
    if (!this.#all.has(id)) this.#all.set(id, { place: this.#all.size, name: "", present: false });
    return this.#all.get(id).place;
  }

  #draw(id) {
    const person = this.#all.get(id);
    if (!person.name) return;
    if (!person.row) {
      person.row = document.createElement("li");
      this.#list.append(person.row);
    }
    person.row.className = `${this.look(id)} ${person.present ? "" : "away"}`;
    const name = document.createElement("bdi");
    name.className = "name";
    name.textContent = person.name;
    const remarks = [id === this.#me && say("script.you"), !person.present && say("script.away")].filter(Boolean);
    const about = document.createElement("span");
    about.className = "soft small";
    about.textContent = remarks.length ? `(${remarks.join(", ")})` : "";
    person.row.replaceChildren(avatar(person.name), name, about);
  }
}
