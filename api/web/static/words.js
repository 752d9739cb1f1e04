// The words of the page in its language, and how times are written in it.

const words = JSON.parse(document.getElementById("words").textContent);

export const language = document.documentElement.lang;

/** Whether the page has a sentence `key`. */
export const knows = (key) => key in words;

/** The sentence `key`, with each {name} in it replaced by `values`. */
export function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}

/** Seconds of meeting time as 1:02:03 or 2:03. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const dates = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" });

/** Writes the moments of `root` as the reader's own calendar and clock say them. */
export function localiseTimes(root) {
  for (const time of root.querySelectorAll('time[datetime*="T"]:not([datetime^="P"])')) {
    time.textContent = dates.format(new Date(time.dateTime));
  }
}
