import { client } from "./hey/client.gen.js"
import { chat, getSession, getHistory, sessionStream } from "./hey/sdk.gen.js"
import type { MessageOutcome } from "./hey/types.gen.js"

const [baseUrl = "", token = "", projectPath = "", session] = process.argv.slice(2)
client.setConfig({ baseUrl, auth: token })

async function said(message: string, sessionId?: string): Promise<MessageOutcome> {
  const { data, error } = await chat({ body: { message, projectPath, wait: 60, ...(sessionId ? { sessionId } : {}) } })
  if (!data) throw new Error(error?.error ?? "no answer")
  return data
}

const first = await said("Remember the word BANANA", session)
const { stream } = await sessionStream({ path: { id: first.sessionId }, query: { since: "0" } })
const heard = stream.next()
const second = await said("What word did I ask you to remember?", first.sessionId)
const { data } = await getHistory({ path: { id: first.sessionId } })
const { error } = await getSession({ path: { id: "00000000-0000-4000-8000-000000000000" } })
const roles: string[] = data?.entries.map(entry => entry.role).slice(-4) ?? []
console.log(JSON.stringify({ reply: second.reply, roles, refused: error?.code, streamed: !(await heard).done }))
process.exit(0)
