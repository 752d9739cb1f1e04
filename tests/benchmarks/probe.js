// Notes, in a page under measurement, when its microphone beeped, when its connection stood and what captions it showed.
// All times are milliseconds since the page was opened.

(() => {
  const noted = (window.noted = { opened: null, marker: null, connected: null, shown: [] });
  const LOUD = 0.05;

  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    noted.opened = performance.now();
    const context = new AudioContext();
    const listener = context.createScriptProcessor(256, 1, 1);
    listener.onaudioprocess = ({ inputBuffer }) => {
      if (noted.marker !== null) return;
      const samples = inputBuffer.getChannelData(0);
      const place = samples.findIndex((value) => Math.abs(value) > LOUD);
      if (place >= 0) noted.marker = performance.now() - ((samples.length - place) / inputBuffer.sampleRate) * 1000;
    };
    context.createMediaStreamSource(stream).connect(listener);
    listener.connect(context.destination);
    return stream;
  };

  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...given) {
      super(...given);
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") noted.connected ??= performance.now();
      });
    }
  };

  const captionOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest(".caption");
  const observer = new MutationObserver((changes) => {
    const at = performance.now();
    const nodes = changes.flatMap(({ target, addedNodes }) => [target, ...addedNodes]);
    for (const item of new Set(nodes.map(captionOf).filter(Boolean))) {
      const [committed, tail] = [".committed", ".tail"].map((part) => item.querySelector(part).textContent);
      noted.shown.push({ at, utterance: item.dataset.utterance, final: item.dataset.final === "true", committed, tail });
    }
  });
  document.addEventListener("DOMContentLoaded", () => {
    const watched = { subtree: true, childList: true, characterData: true, attributes: true };
    observer.observe(document.getElementById("captions") ?? document.body, watched);
  });
})();
