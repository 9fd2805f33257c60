/** spec.autoscaling, spec.monitoring: how the server is kept in size and in sight. */

import { z } from 'zod'
import { cel, duration, metadataMap } from './fields.ts'

export const autoscaling = z
  .strictObject({
    minReplicas: z.int().min(1).max(100).default(2),
    maxReplicas: z.int().min(1).max(100),
    targetCpuUtilization: z.int().min(1).max(100).default(70).meta({ description: 'Percent of the CPU request.' }),
  })
  .meta(cel({ rule: 'self.maxReplicas >= self.minReplicas', message: 'maxReplicas must not be below minReplicas' }))
  .optional()
  .meta({
    description:
      'A HorizontalPodAutoscaler that scales the MailServer itself, through its scale subresource: leave spec.replicas out of what you apply.',
  })

const labels = () => metadataMap(32, 63).optional().meta({ description: 'More labels, for those who select by them.' })

/** As Prometheus writes durations: whole numbers, the largest unit first. */
const scrapeInterval = () => duration('1s', '24h', /^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$/)

export const monitoring = z
  .strictObject({
    podMonitor: z
      .strictObject({
        enabled: z.boolean().default(false),
        interval: scrapeInterval().default('30s'),
        labels: labels(),
      })
      .prefault({})
      .meta({ description: 'PodMonitors of engine and database for the Prometheus operator.' }),
    prometheusRule: z
      .strictObject({ enabled: z.boolean().default(false), labels: labels() })
      .prefault({})
      .meta({ description: 'Alerts for the Prometheus operator.' }),
  })
  .prefault({})
  .meta({ description: 'What the Prometheus operator is told.' })
