/** spec.autoscaling, spec.monitoring: how the server is kept in size and in sight. */

import { z } from 'zod'
import { cel, duration, stringMap } from './fields.ts'

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

const labels = () => stringMap(32, 63).optional().meta({ description: 'More labels, for those who select by them.' })

export const monitoring = z
  .strictObject({
    podMonitor: z
      .strictObject({ enabled: z.boolean().default(false), interval: duration().default('30s'), labels: labels() })
      .prefault({})
      .meta({ description: 'PodMonitors of engine and database for the Prometheus operator.' }),
    prometheusRule: z
      .strictObject({ enabled: z.boolean().default(false), labels: labels() })
      .prefault({})
      .meta({ description: 'Alerts for the Prometheus operator.' }),
  })
  .prefault({})
  .meta({ description: 'What the Prometheus operator is told.' })
