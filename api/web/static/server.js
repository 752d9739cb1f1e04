// Requests to this server's API with the session of the page, or with the token of a participant.

import { knows, say } from "./words.js";

const csrf = document.querySelector('meta[name="csrf-token"]').content;

/** What the server refused, in its words (RFC 9457), and the `reason` as one word, where it has one; status 0 when it did
 * not answer. */
export class Refused extends Error {
  constructor(status, detail, reason) {
    super(detail);
    this.status = status;
    this.reason = reason ?? (status === 413 ? "large" : undefined);
  }
}

/** The answer as JSON, null when it has none. `token` replaces the session of the page, `timeout` is in ms. Throws `Refused`. */
export async function ask(method, path, body, { token, timeout } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : { "X-CSRF-Token": csrf };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: timeout === undefined ? undefined : AbortSignal.timeout(timeout),
    });
  } catch {
    throw new Refused(0, say("script.offline"));
  }
  if (!answer.ok) throw await refusal(answer);
  return answer.headers.get("content-type")?.includes("json") ? answer.json() : null;
}

export async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new Refused(answer.status, problem.detail ?? answer.statusText, problem.reason);
}

/** Sends a form or file and tells how much of it is sent, from 0 to 1. Throws `Refused`, or what `signal` was aborted with. */
export function upload(path, body, progress, { method = "POST", signal } = {}) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      if (request.status < 300) done(request.response);
      else failed(new Refused(request.status, request.response?.detail ?? request.statusText, request.response?.reason));
    };
    request.onerror = () => failed(new Refused(0, say("script.offline")));
    signal?.addEventListener("abort", () => {
      request.abort();
      failed(signal.reason);
    });
    request.send(body);
  });
}

/** Says in `element` why something failed, by the page's words where it has them; the server's own are English. */
export function showRefusal(element, error) {
  const [before, after] = say("script.failed", { why: "\u0000" }).split("\u0000");
  const why = document.createElement("span");
  const own = `script.refused.${error.reason}`;
  why.textContent = knows(own) ? say(own) : error.message;
  if (error.status && !knows(own)) why.lang = "en";
  element.replaceChildren(before, why, after);
}
