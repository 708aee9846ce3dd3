// A client of Powerstrip's plugin `realtime`: one module without dependencies. It stays connected, comes back with what
// it saw last, and says when something was missed.
//
//   import { RealtimeClient } from "/realtime/client.js";
//
//   const client = new RealtimeClient({
//     signIn: async () => ({ ticket: await fetchTicket() }), // asked before each connection; or { token }
//     onEvent: (event) => console.log(event.type, event.data),
//     onMissed: (topic) => reload(topic), // events were lost: load anew; all topics when it is undefined
//     onState: (state) => console.log(state), // "connecting", "connected", "waiting", "stopped"
//   });
//   client.start();
//   await client.subscribe("orders:7");

const PROTOCOL = "powerstrip.v1";
const FIRST_PAUSE = 500; // ms; doubled with each failure
const LONGEST_PAUSE = 30_000;
const PING_INTERVAL = 25_000;
const PONG_LIMIT = 10_000;
const ANSWER_LIMIT = 20_000;
const FINAL_CODES = new Set([1003, 1007, 1008, 1009]); // beside 4500 to 4999: coming back would not help

export class RealtimeClient {
  #options;
  #socket = null;
  #last;
  #replaying = 0;
  #pinned; // where to resume from if the connection breaks while events are replayed
  #topics = new Set();
  #answers = new Map();
  #number = 0;
  #failures = 0;
  #timer;
  #heartbeat;
  #running = false;

  constructor({ url, signIn, topics = [], since, onEvent = () => {}, onMissed = () => {}, onState = () => {} }) {
    const page = globalThis.location;
    const base = page ? `${page.protocol === "https:" ? "wss:" : "ws:"}//${page.host}/ws` : undefined;
    this.#options = { url: url ?? base, signIn, onEvent, onMissed, onState };
    this.#last = since;
    topics.forEach((topic) => this.#topics.add(topic));
  }

  // The id of the last event: keep it, and give it as `since` to go on after a reload of the page.
  get position() {
    return this.#pinned ?? this.#last;
  }

  start() {
    if (!this.#running) {
      this.#running = true;
      this.#connect();
    }
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#options.onState("stopped");
  }

  // Listen to a topic, now and after each time the client has come back. Rejects with what the server says is wrong.
  async subscribe(topic) {
    const answer = await this.command({ type: "subscribe", topic });
    this.#topics.add(topic);
    return answer;
  }

  async unsubscribe(topic) {
    this.#topics.delete(topic);
    return this.command({ type: "unsubscribe", topic });
  }

  // Who listens to a topic. With `follow: true` events of type "presence" tell who comes and goes, until the connection
  // is lost: ask again whenever the state is "connected".
  async presence(topic, { follow } = {}) {
    return this.command({ type: "presence", topic, ...(follow === undefined ? {} : { follow }) });
  }

  // Send a command; resolves with the data of its answer.
  command(command) {
    if (this.#socket?.readyState !== 1) {
      return Promise.reject(new Error("not connected"));
    }
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, false, { type: "NoAnswer", message: "No answer came." }), ANSWER_LIMIT);
      this.#answers.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ ...command, id }));
    });
  }

  async #connect() {
    this.#options.onState("connecting");
    let credentials;
    try {
      credentials = await this.#options.signIn();
    } catch (error) {
      this.#comeBack(undefined, error);
      return;
    }
    if (!this.#running) return;
    const socket = new WebSocket(this.#options.url, PROTOCOL);
    this.#socket = socket;
    socket.onopen = () => {
      const first = { type: "authenticate", ...credentials, topics: [...this.#topics] };
      if (this.position) first.since = this.position;
      socket.send(JSON.stringify(first));
    };
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => this.#closed(socket, code, reason);
    this.#watch(socket);
  }

  #hear(text) {
    clearTimeout(this.#heartbeat?.limit);
    if (text === "pong") return;
    const message = JSON.parse(text);
    if (message.type === "reply") {
      this.#settle(message.reply_to, message.ok, message.ok ? message.data : message.error);
      return;
    }
    if (message.type === "connected") this.#connected(message);
    else if (message.type === "gap") this.#options.onMissed(message.topic);
    else if (message.type === "dropped") this.#options.onMissed(undefined);
    else this.#options.onEvent(message);
    if (message.id) this.#last = message.id;
    const isReplayed = message.type !== "connected" && message.id && this.#replaying > 0;
    if (isReplayed && --this.#replaying === 0) this.#pinned = undefined;
  }

  #connected(message) {
    this.#failures = 0;
    if (message.data.recovered === false) {
      this.#pinned = undefined;
      this.#options.onMissed(undefined);
    }
    this.#replaying = message.data.replayed;
    this.#pinned = this.#replaying ? message.id : undefined;
    this.#options.onState("connected");
  }

  #settle(id, ok, value) {
    const answer = this.#answers.get(id);
    if (!answer) return;
    this.#answers.delete(id);
    clearTimeout(answer.timer);
    if (ok) answer.resolve(value);
    else answer.reject(Object.assign(new Error(value.message), value));
  }

  #closed(socket, code, reason) {
    if (socket !== this.#socket) return;
    clearInterval(this.#heartbeat?.interval);
    clearTimeout(this.#heartbeat?.limit);
    for (const id of [...this.#answers.keys()]) {
      this.#settle(id, false, { type: "Disconnected", message: "The connection was lost." });
    }
    if (!this.#running) return;
    if (FINAL_CODES.has(code) || (code >= 4500 && code < 5000)) {
      this.#running = false;
      this.#options.onState("stopped", { code, reason });
      return;
    }
    this.#comeBack(reason);
  }

  #comeBack(reason, error) {
    const backOff = Math.min(FIRST_PAUSE * 2 ** this.#failures++, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
    this.#options.onState("waiting", { error });
    this.#timer = setTimeout(() => this.#connect(), hint(reason) ?? backOff);
  }

  // A browser does not show protocol pings, so it asks itself: a connection that a network has lost says nothing.
  #watch(socket) {
    clearInterval(this.#heartbeat?.interval);
    const heartbeat = {};
    heartbeat.interval = setInterval(() => {
      if (socket.readyState !== 1) return;
      socket.send("ping");
      heartbeat.limit = setTimeout(() => socket.close(4000, "NoPong"), PONG_LIMIT);
    }, PING_INTERVAL);
    this.#heartbeat = heartbeat;
  }
}

// A server that restarts asks each client to come back at another time.
function hint(reason) {
  try {
    const { retry_ms: pause } = JSON.parse(reason);
    return Number.isFinite(pause) ? Math.min(Math.max(pause, 0), 300_000) : undefined;
  } catch {
    return undefined;
  }
}
