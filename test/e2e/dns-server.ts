/** A DNS server for tests: answers A, MX and TXT questions from a table over UDP on loopback, the rest with NXDOMAIN (RFC 1035). */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

const TYPES: Record<number, DnsRecord['type']> = { 1: 'A', 15: 'MX', 16: 'TXT' }

export interface DnsRecord {
  type: 'A' | 'MX' | 'TXT'
  /** Without the trailing dot. */
  name: string
  /** "127.0.0.1", "10 mx.example", or the text. */
  value: string
}

export interface DnsServer extends AsyncDisposable {
  /** "127.0.0.1:port", as resolvers are written in a MailServer. */
  address: string
}

/** @param records asked for each question, so that they may change */
export async function startDnsServer(records: () => readonly DnsRecord[]): Promise<DnsServer> {
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => {
    const answer = answerTo(query, records())
    if (answer) socket.send(answer, from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

function answerTo(query: Buffer, records: readonly DnsRecord[]): Buffer | undefined {
  if (query.length < 17) return undefined
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  const end = at + 5
  const name = labels.join('.').toLowerCase()
  const type = TYPES[query.readUInt16BE(at + 1)]
  const known = records.filter((record) => record.name.toLowerCase() === name)
  const answers = known.filter((record) => record.type === type)
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(0x8400 | ((query[2] ?? 0) & 1 ? 0x0100 : 0) | 0x0080 | (known.length > 0 ? 0 : 3), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(answers.length, 6)
  return Buffer.concat([
    header,
    query.subarray(12, end),
    ...answers.map((record) => encoded(record, query.subarray(at + 1, at + 3))),
  ])
}

function encoded({ type, value }: DnsRecord, typeBytes: Buffer): Buffer {
  const data = dataOf(type, value)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(data.length)
  // The name is a pointer to the question; class IN; TTL 0, so that nothing is remembered.
  return Buffer.concat([Buffer.from([0xc0, 12]), typeBytes, Buffer.from([0, 1, 0, 0, 0, 0]), length, data])
}

function dataOf(type: DnsRecord['type'], value: string): Buffer {
  if (type === 'A') return Buffer.from(value.split('.').map(Number))
  if (type === 'MX') {
    const [preference = '10', host = ''] = value.split(' ')
    return Buffer.concat([Buffer.from([0, Number(preference)]), ...host.split('.').map(string), Buffer.from([0])])
  }
  return Buffer.concat((value.match(/.{1,255}/gs) ?? ['']).map(string))
}

function string(text: string): Buffer {
  return Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)])
}
