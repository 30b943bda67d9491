// Follows a chat with the stock EventSource of npm until its turn ends; prints each
// frame as a line of JSON. Reconnecting and Last-Event-ID are the library's own.
import { EventSource } from 'eventsource'

const [url, token] = process.argv.slice(2)
const names = [
  'snapshot', 'resync', 'message', 'message_part', 'preview_reset', 'queue_update',
  'status', 'error', 'turn_finished', 'chat_updated', 'caught_up',
]

const source = new EventSource(url, {
  fetch: (input, init) =>
    fetch(input, {
      ...init,
      headers: { ...init.headers, Authorization: `Bearer ${token}` },
    }),
})
source.onopen = () => console.log(JSON.stringify({ event: 'open' }))
for (const name of names) {
  source.addEventListener(name, (message) => {
    if (message.data === undefined) return // the library's own error events
    const frame = { id: message.lastEventId, event: name, data: JSON.parse(message.data) }
    console.log(JSON.stringify(frame))
    if (name === 'turn_finished') source.close()
  })
}
