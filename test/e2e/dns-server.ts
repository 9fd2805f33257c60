/** A DNS server for tests: answers from a table over UDP on loopback, names that are not in it with NXDOMAIN (RFC 1035). */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

const TYPES: Record<number, DnsRecord['type']> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  52: 'TLSA',
  257: 'CAA',
}

export interface DnsRecord {
  type: 'A' | 'AAAA' | 'CNAME' | 'MX' | 'NS' | 'TXT' | 'SRV' | 'PTR' | 'CAA' | 'TLSA'
  /** Without the trailing dot. */
  name: string
  /** As in a zone file ("127.0.0.1", "10 mx.example."), but the text of a TXT record as it is. */
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
  const fields = value.split(' ')
  const [first = '', second = '', third = '', last = ''] = fields
  switch (type) {
    case 'A':
      return Buffer.from(value.split('.').map(Number))
    case 'AAAA':
      return addressBytes(value)
    case 'MX':
      return Buffer.concat([number(first), host(second)])
    case 'SRV':
      return Buffer.concat([number(first), number(second), number(third), host(last)]) // RFC 2782
    case 'CAA': // RFC 8659 §4.1
      return Buffer.concat([
        Buffer.from([Number(first)]),
        string(second),
        Buffer.from(fields.slice(2).join(' ').slice(1, -1)),
      ])
    case 'TLSA': // RFC 6698 §2.1
      return Buffer.concat([Buffer.from([Number(first), Number(second), Number(third)]), Buffer.from(last, 'hex')])
    case 'TXT':
      return Buffer.concat((value.match(/.{1,255}/gs) ?? ['']).map(string))
    default:
      return host(value)
  }
}

function number(text: string): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(Number(text))
  return bytes
}

/** A name, with or without the trailing dot. */
function host(name: string): Buffer {
  return Buffer.concat([...name.replace(/\.$/, '').split('.').map(string), Buffer.from([0])])
}

/** RFC 4291 §2.2, "::" included. */
function addressBytes(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const missing = Math.max(0, 8 - groups(head).length - groups(tail).length)
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)]
  return Buffer.concat(all.map((group) => number(`0x${group}`)))
}

function string(text: string): Buffer {
  return Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)])
}
