/** What the terminal shows when everything is Ready. */
import { relative } from 'node:path'
import type { Endpoints } from './endpoints.ts'

export function summary(endpoints: Endpoints, seconds: number, workingDirectory = process.cwd()): string {
  const { smtp, submissions, submission, imaps, http, metrics, accounts, caFile, kubeconfig } = endpoints
  const rows: [string, string][] = [
    ['SMTP', `${smtp.host}:${smtp.port}`],
    ['Submission', `${submissions.host}:${submissions.port} (TLS), ${submission.host}:${submission.port} (STARTTLS)`],
    ['IMAP', `${imaps.host}:${imaps.port} (TLS)`],
    ['JMAP', `http://${http.host}:${http.port}/.well-known/jmap`],
    ['Metrics', `http://${metrics.host}:${metrics.port}/metrics`],
    ...accounts.map(({ address, password }): [string, string] => [address, `password ${password}`]),
  ]
  const width = Math.max(...rows.map(([name]) => name.length)) + 2
  const [first] = accounts
  const address = first?.address ?? 'alice@example.org'
  const path = (file: string): string => {
    const short = relative(workingDirectory, file)
    const shown = short.startsWith('..') ? file : short
    return /[^\w./-]/.test(shown) ? `'${shown.replaceAll("'", "'\\''")}'` : shown
  }
  return `
Ready after ${seconds.toFixed(0)} s.

${rows.map(([name, value]) => `  ${name.padEnd(width)}${value}`).join('\n')}

Try:
  printf 'From: you@example.net\\nTo: ${address}\\nSubject: Hello\\n\\nHello.\\n' | curl -sS smtp://${smtp.host}:${smtp.port} --mail-from you@example.net --mail-rcpt ${address} -T -
  curl -sS --cacert ${path(caFile)} -u '${address}:${first?.password ?? ''}' 'imaps://${imaps.host}:${imaps.port}/INBOX;MAILINDEX=1'
  kubectl --kubeconfig ${path(kubeconfig)} get mailservers,mailaccounts -A

Ctrl-C ends everything; the next start brings back the same mail.`
}
