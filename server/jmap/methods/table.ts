/** Every method by its name. A new one is a file and a line here. */
import { CORE, MAIL, SUBMISSION } from '../capabilities.ts'
import { type AnyMethod, asAnyMethod } from '../method.ts'
import { copyMethod } from './copy.ts'
import { coreEcho } from './core-echo.ts'
import { emailChanges } from './email-changes.ts'
import { emailGet } from './email-get.ts'
import { emailImport } from './email-import.ts'
import { emailParse } from './email-parse.ts'
import { emailQuery } from './email-query.ts'
import { emailSet } from './email-set.ts'
import { emailSubmissionGet, emailSubmissionQuery } from './email-submission-get.ts'
import { emailSubmissionSet } from './email-submission-set.ts'
import { identityGet, identityState } from './identity-get.ts'
import { identitySet } from './identity-set.ts'
import { mailboxChanges } from './mailbox-changes.ts'
import { mailboxGet } from './mailbox-get.ts'
import { mailboxQuery } from './mailbox-query.ts'
import { mailboxSet } from './mailbox-set.ts'
import { noChanges } from './no-changes.ts'
import { noQueryChanges } from './query-changes.ts'
import { searchSnippetGet } from './search-snippet-get.ts'
import { threadChanges } from './thread-changes.ts'
import { threadGet } from './thread-get.ts'

export const methods: ReadonlyMap<string, AnyMethod> = new Map([
  ['Core/echo', asAnyMethod(coreEcho)],
  ['Blob/copy', asAnyMethod(copyMethod(CORE))],
  ['Mailbox/get', asAnyMethod(mailboxGet)],
  ['Mailbox/changes', asAnyMethod(mailboxChanges)],
  ['Mailbox/query', asAnyMethod(mailboxQuery)],
  ['Mailbox/queryChanges', asAnyMethod(noQueryChanges(MAIL))],
  ['Mailbox/set', asAnyMethod(mailboxSet)],
  ['Thread/get', asAnyMethod(threadGet)],
  ['Thread/changes', asAnyMethod(threadChanges)],
  ['Email/get', asAnyMethod(emailGet)],
  ['Email/changes', asAnyMethod(emailChanges)],
  ['Email/query', asAnyMethod(emailQuery)],
  ['Email/queryChanges', asAnyMethod(noQueryChanges(MAIL))],
  ['Email/set', asAnyMethod(emailSet)],
  ['Email/copy', asAnyMethod(copyMethod(MAIL))],
  ['Email/import', asAnyMethod(emailImport)],
  ['Email/parse', asAnyMethod(emailParse)],
  ['SearchSnippet/get', asAnyMethod(searchSnippetGet)],
  ['Identity/get', asAnyMethod(identityGet)],
  ['Identity/changes', asAnyMethod(noChanges(identityState))],
  ['Identity/set', asAnyMethod(identitySet)],
  ['EmailSubmission/get', asAnyMethod(emailSubmissionGet)],
  ['EmailSubmission/changes', asAnyMethod(noChanges(() => '0'))],
  ['EmailSubmission/query', asAnyMethod(emailSubmissionQuery)],
  ['EmailSubmission/queryChanges', asAnyMethod(noQueryChanges(SUBMISSION))],
  ['EmailSubmission/set', asAnyMethod(emailSubmissionSet)],
])
