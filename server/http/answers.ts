/** Responses in the shapes that all routes share. */
import type { ServerResponse } from 'node:http'
import type { HttpError } from './errors.ts'

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  send(response, status, Buffer.from(JSON.stringify(body)), {
    'Content-Type': 'application/json; charset=utf-8',
    ...headers,
  })
}

export function sendText(
  response: ServerResponse,
  status: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  send(response, status, Buffer.from(body), { 'Content-Type': contentType })
}

/** RFC 9457. */
export function sendProblem(response: ServerResponse, error: HttpError): void {
  const body = { type: 'about:blank', status: error.status, detail: error.message, ...error.problem }
  send(response, error.status, Buffer.from(JSON.stringify(body)), {
    'Content-Type': 'application/problem+json',
    ...error.headers,
  })
}

function send(response: ServerResponse, status: number, body: Buffer, headers: Record<string, string>): void {
  response.writeHead(status, { 'Cache-Control': 'no-store', 'Content-Length': String(body.length), ...headers })
  response.end(body)
}
