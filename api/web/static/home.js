// The home page: create a meeting, or open one by its link or code.

import { ask, showRefusal } from "./server.js";
import { say } from "./words.js";

const create = document.getElementById("create");
create?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { title, languages, keep_audio } = create.elements;
  const button = create.querySelector("button");
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  const wanted = {
    title: title.value.trim(),
    languages: languages.value ? [languages.value] : [],
    keep_audio: keep_audio.checked,
  };
  try {
    const { id } = await ask("POST", "/api/v1/meetings", wanted);
    location.assign(`/meetings/${id}`);
  } catch (error) {
    showRefusal(document.getElementById("create-error"), error);
    button.ariaDisabled = "false";
  }
});

const open = document.getElementById("open");
open.addEventListener("submit", (event) => {
  event.preventDefault();
  const address = open.elements.address;
  const id = /(?:^|\/meetings\/)([A-Za-z0-9_-]{1,64})(?:\/transcript)?\/?(?:[?#].*)?$/.exec(address.value.trim())?.[1];
  address.setAttribute("aria-invalid", String(!id));
  if (id) {
    location.assign(`/meetings/${id}`);
  } else {
    document.getElementById("open-error").textContent = say("script.address.wrong");
    address.focus();
  }
});
