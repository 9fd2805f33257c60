/** Every object of a MailServer, in the order in which they are applied: what is mounted comes before the Pods. */

import type { KubeObject } from '../../kube/types.ts'
import { autoscaler } from './autoscaler.ts'
import { certificates } from './certificate.ts'
import type { DesiredContext } from './context.ts'
import { backupStore, databaseCluster, scheduledBackup } from './database.ts'
import { deployment } from './deployment.ts'
import { dnsEndpoint } from './dns-endpoint.ts'
import { engineConfigMap } from './engine-config.ts'
import { httpRoutes, ingress, tcpRoutes } from './exposure.ts'
import { podMonitors, prometheusRule } from './monitoring.ts'
import { networkPolicy, podDisruptionBudget, serviceAccount } from './pod-guards.ts'
import { databasePooler } from './pooler.ts'
import { recoveryStore } from './recovery.ts'
import { adminSecret, authoritySecret, databaseCredentials, dkimFilesSecret, dkimSecret, tlsSecret } from './secrets.ts'
import { httpService, mailService } from './services.ts'

export function desiredObjects(context: DesiredContext): KubeObject[] {
  const ownTls = issuesItself(context)
  const objects = [
    backupStore(context),
    recoveryStore(context),
    databaseCluster(context),
    scheduledBackup(context),
    databasePooler(context),
    serviceAccount(context),
    adminSecret(context),
    ...(ownTls ? [authoritySecret(context), tlsSecret(context)] : certificates(context)),
    ...context.facts.dkimKeys.map((key) => dkimSecret(context, key)),
    dkimFilesSecret(context),
    databaseCredentials(context),
    engineConfigMap(context),
    mailService(context),
    httpService(context),
    networkPolicy(context),
    podDisruptionBudget(context),
    ingress(context),
    ...httpRoutes(context),
    ...tcpRoutes(context),
    dnsEndpoint(context),
    ...podMonitors(context),
    prometheusRule(context),
    deployment(context),
    autoscaler(context),
  ]
  return objects.filter((object) => object !== undefined)
}

/** True when the certificate comes from the operator's own CA. */
export function issuesItself({ spec }: Pick<DesiredContext, 'spec'>): boolean {
  return !spec.tls.issuerRef && !spec.tls.secretName
}
