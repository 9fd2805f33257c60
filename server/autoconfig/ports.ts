/** Where mail programs find us: the ports of the mail Service, whatever the process itself listens on. */
export const MAIL_PORTS = { imaps: 993, submissions: 465, submission: 587 } as const
