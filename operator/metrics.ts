/** The operator's own metrics, beside those of its runtime (kube/metrics.ts). */

import { Gauge, type Registry } from 'prom-client'
import type { Operator } from './run.ts'

export function registerOperatorMetrics(
  registry: Registry,
  operator: Pick<Operator, 'upgrades' | 'heldByOthers' | 'missingFields'>,
): void {
  new Gauge({
    name: 'mail_operator_upgrades',
    help: 'MailServers whose engines are to get another image, by state: running (in its turn) or waiting for it',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { taken, waiting } = operator.upgrades()
      this.set({ state: 'running' }, taken)
      this.set({ state: 'waiting' }, waiting)
    },
  })
  new Gauge({
    name: 'mail_operator_held_by_others',
    help: 'MailServers in watched namespaces that another installation of the operator looks after',
    registers: [registry],
    collect() {
      this.set(operator.heldByOthers())
    },
  })
  new Gauge({
    name: 'mail_operator_crd_missing_fields',
    help: 'Fields that this operator knows and the served CRD does not, by kind: above 0 the CRDs are older',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      for (const [kind, count] of operator.missingFields()) this.set({ kind }, count)
    },
  })
}
