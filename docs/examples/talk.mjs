// Talk to Claude and follow the events of the session. Node 20 or newer, nothing else:
//   PILOTLIGHT_URL=http://127.0.0.1:3001 PILOTLIGHT_TOKEN=$(pilotlight token) node talk.mjs FOLDER
import { randomUUID } from "node:crypto"

const { PILOTLIGHT_URL: url, PILOTLIGHT_TOKEN: token } = process.env
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }

async function say(body) {
  // One key for all tries: a repeat is harmless, whatever became of the first.
  const key = randomUUID()
  for (let tries = 0; ; tries++) {
    try {
      const response = await fetch(`${url}/api/chat`, {
        method: "POST", headers: { ...headers, "Idempotency-Key": key }, body: JSON.stringify({ wait: 60, ...body }),
      })
      const answer = await response.json()
      if (answer.success) return answer
      if (response.status !== 503 || tries > 20) throw Object.assign(new Error(answer.error), { final: true })
    } catch (error) {
      if (error.final || tries > 20) throw error
    }
    await new Promise(resolve => setTimeout(resolve, 500))
  }
}

async function* events(session, since) {
  const response = await fetch(`${url}/api/events?session=${session}&since=${since}`, { headers })
  let text = ""
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const frames = (text + piece).split("\n\n")
    text = frames.pop()
    for (const frame of frames) {
      const data = frame.split("\n").filter(line => line.startsWith("data:")).map(line => line.slice(5)).join("\n")
      if (data) yield JSON.parse(data)
    }
  }
}

const first = await say({ message: "Remember the word BANANA", projectPath: process.argv[2], trust: true })
const second = await say({ message: "What word did I ask you to remember?", sessionId: first.sessionId })
console.log(second.reply)
for await (const event of events(first.sessionId, "0")) {
  console.log(event.seq, event.kind)
  if (event.kind === "message" && event.data.state === "answered") break
}
process.exit(0)
