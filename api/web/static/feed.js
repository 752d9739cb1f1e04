// The events of one meeting by WebSocket, from the last number that was read on; it comes back by itself.

const FIRST_WAIT = 250;
const LONGEST_WAIT = 4_000;
const QUIET = 15_000; // after so long without an event the server is asked whether it is still there

export class Feed {
  #address;
  #check;
  #read;
  #tell;
  #socket = null;
  #wanted = false;
  #wait = FIRST_WAIT;
  #timer = 0;
  #looking = 0;
  #heardAt = 0;

  /** The number of the newest event read; null before the first. */
  cursor = null;

  /**
   * `address(cursor)` promises where to connect; `check()` fails when the server is not there; `read(event)` takes each
   * event; `tell(connected)` is told when the connection comes and goes.
   */
  constructor(address, check, read, tell) {
    [this.#address, this.#check, this.#read, this.#tell] = [address, check, read, tell];
    addEventListener("online", () => this.#wanted && !this.#socket && this.#connect());
    addEventListener("offline", () => this.#drop(this.#socket));
  }

  /** Whether it was not open already. */
  open() {
    if (this.#wanted) return false;
    this.#wanted = true;
    this.#looking = setInterval(() => this.#look(), QUIET);
    this.#connect();
    return true;
  }

  close() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    clearInterval(this.#looking);
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
      this.#heardAt = Date.now();
      this.take(JSON.parse(data));
    };
    socket.onopen = () => this.#socket === socket && this.#tell(true);
    socket.onclose = () => this.#drop(socket);
  }

  #drop(socket) {
    if (!socket || this.#socket !== socket) return;
    this.#socket = null;
    socket.close();
    this.#again();
  }

  /** A network that goes away says nothing: a socket that is silent may be one that is dead. */
  async #look() {
    const socket = this.#socket;
    if (!socket || Date.now() - this.#heardAt < QUIET) return;
    try {
      await this.#check();
    } catch {
      this.#drop(socket);
    }
  }

  #again() {
    if (!this.#wanted) return;
    this.#tell(false);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}
