// The demo page: signs in with a name and a password, gets a ticket for each connection, and shows what comes.
import { RealtimeClient } from "./client.js";

const { socket, tickets, token } = document.body.dataset;
const state = document.getElementById("state");
const events = document.getElementById("events");
let access;
let client;

async function signIn() {
  const answer = await fetch(tickets, { method: "POST", headers: { Authorization: `Bearer ${access}` } });
  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
  return { ticket: (await answer.json()).ticket };
}

function show(text) {
  const line = document.createElement("li");
  line.textContent = text;
  events.prepend(line);
}

export function connect(accessToken) {
  access = accessToken;
  client?.stop();
  const url = new URL(socket, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  client = new RealtimeClient({
    url: url.href,
    signIn,
    onEvent: (event) => show(`${event.time} ${event.topic} ${event.type} ${JSON.stringify(event.data)}`),
    onMissed: (topic) => show(`something was missed: ${topic ?? "in all topics"}`),
    onState: (name) => (state.textContent = name),
  });
  client.start();
  return client;
}

document.getElementById("sign-in").addEventListener("submit", async (submission) => {
  submission.preventDefault();
  const answer = await fetch(token, { method: "POST", body: new URLSearchParams(new FormData(submission.target)) });
  if (!answer.ok) {
    state.textContent = `signing in failed: ${answer.status}`;
    return;
  }
  connect((await answer.json()).access_token);
});

document.getElementById("topic").addEventListener("submit", async (submission) => {
  submission.preventDefault();
  try {
    await client.subscribe(new FormData(submission.target).get("topic"));
  } catch (error) {
    show(`not subscribed: ${error.message}`);
  }
});

globalThis.realtimeDemo = { connect, position: () => client?.position };
