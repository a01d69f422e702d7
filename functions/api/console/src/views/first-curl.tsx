// The command that posts an event to this API.

import { base } from '../api'
import { Code } from '../ui'

export function FirstCurl() {
  const text = `curl '${base}/api/events' \\
  -H 'X-API-Key: YOUR_API_KEY' \\
  -H 'Content-Type: application/json' \\
  --data '{"type":"order.created","payload":{"order_id":1001}}'`
  return <Code label="the command" text={text} wrap />
}
