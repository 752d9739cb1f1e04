// Sign in with an API key; the server keeps the session in a cookie that no script reads.

import { ask, showRefusal } from "./server.js";
import { say } from "./words.js";

const form = document.getElementById("sign-in");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = document.getElementById("signin-error");
  const key = form.elements.key;
  try {
    await ask("POST", "/api/v1/session", { key: key.value.trim() });
    location.replace(wanted());
  } catch (refused) {
    if (refused.status === 401 || refused.status === 422) error.textContent = say("script.signin.wrong");
    else showRefusal(error, refused);
    key.setAttribute("aria-invalid", "true");
    key.focus();
  }
});

/** The page that was asked for, if it is one of this server. */
function wanted() {
  const next = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
  return next.origin === location.origin ? next.href : "/";
}
