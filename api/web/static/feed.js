// The events of one meeting by WebSocket, from the last number that was read on; it comes back by itself.

const FIRST_WAIT = 250;
const LONGEST_WAIT = 4_000;

export class Feed {
  #address;
  #read;
  #tell;
  #socket = null;
  #wanted = false;
  #wait = FIRST_WAIT;
  #timer = 0;

  /** The number of the newest event read; null before the first. */
  cursor = null;

  /**
   * `address(cursor)` gives (a promise of) where to connect; `read(event)` takes each event; `tell(connected)` is told
   * when the connection comes and goes.
   */
  constructor(address, read, tell) {
    [this.#address, this.#read, this.#tell] = [address, read, tell];
    addEventListener("online", () => this.#wanted && !this.#socket && this.#connect());
    addEventListener("offline", () => this.#socket?.close());
  }

  open() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#connect();
  }

  close() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  /** One event, whichever way it came; one that was read already is passed over. */
  take(event) {
    const isNew = event.sequence > (this.cursor ?? -1);
    if (isNew) this.cursor = event.sequence;
    if (isNew || event.type === "snapshot") this.#read(event);
  }

  async #connect() {
    clearTimeout(this.#timer);
    let socket;
    try {
      socket = new WebSocket(await this.#address(this.cursor));
    } catch {
      this.#again();
      return;
    }
    if (!this.#wanted || this.#socket) {
      socket.close();
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (this.#socket !== socket) return;
      this.#wait = FIRST_WAIT;
      this.take(JSON.parse(data));
    };
    socket.onopen = () => this.#socket === socket && this.#tell(true);
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#again();
    };
  }

  #again() {
    if (!this.#wanted) return;
    this.#tell(false);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}
