import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeMetrics } from './merged-metrics.ts'

test('each family stands once, with the samples of all Pods', () => {
  const page = (count: number): string => `# HELP mail_total Messages
# TYPE mail_total counter
mail_total{result="a,b}c"} ${count}
# HELP wait_seconds Waits
# TYPE wait_seconds histogram
wait_seconds_bucket{le="+Inf"} ${count}
wait_seconds_sum 1.5
wait_seconds_count ${count}
bare 1 1700000000000
`
  assert.equal(
    mergeMetrics(
      new Map([
        ['p1', page(1)],
        ['p2', page(2)],
      ]),
    ),
    `# HELP mail_total Messages
# TYPE mail_total counter
mail_total{pod="p1",result="a,b}c"} 1
mail_total{pod="p2",result="a,b}c"} 2
# HELP wait_seconds Waits
# TYPE wait_seconds histogram
wait_seconds_bucket{pod="p1",le="+Inf"} 1
wait_seconds_sum{pod="p1"} 1.5
wait_seconds_count{pod="p1"} 1
wait_seconds_bucket{pod="p2",le="+Inf"} 2
wait_seconds_sum{pod="p2"} 1.5
wait_seconds_count{pod="p2"} 2
bare{pod="p1"} 1 1700000000000
bare{pod="p2"} 1 1700000000000
`,
  )
})

test('no Pods, no metrics', () => assert.equal(mergeMetrics(new Map()), ''))
