import createClient from "openapi-fetch"
import type { components, paths } from "./schema.js"

const [baseUrl = "", token = "", projectPath = "", session] = process.argv.slice(2)
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } })

type Reply = components["schemas"]["MessageOutcome"]

async function said(message: string, sessionId?: string): Promise<Reply> {
  const { data, error } = await client.POST("/api/chat", { body: { message, projectPath, wait: 60, ...(sessionId ? { sessionId } : {}) } })
  if (!data) throw new Error(error?.error ?? "no answer")
  return data
}

const first = await said("Remember the word BANANA", session)
const second = await said("What word did I ask you to remember?", first.sessionId)
const { data: history } = await client.GET("/api/sessions/{id}/history", { params: { path: { id: first.sessionId } } })
const { error } = await client.GET("/api/sessions/{id}", { params: { path: { id: "00000000-0000-4000-8000-000000000000" } } })
const roles: string[] = history?.entries.map(entry => entry.role).slice(-4) ?? []
console.log(JSON.stringify({ reply: second.reply, roles, refused: error?.code }))
