// Runs in the page: follows a chat by ticket; a used ticket stops the EventSource for
// good, so each time it ends a new one is taken and passes the last id as ?after=.
const [chat, token, done] = arguments
const seen = { opened: 0, errors: 0, frames: [] }
let last = null

async function connect() {
  const answer = await fetch('/api/v1/stream-tickets', {
    method: 'POST',
    headers: { 'Authorization': `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ chat_id: chat }),
  })
  const { ticket } = await answer.json()
  const query = new URLSearchParams({ ticket })
  if (last) query.set('after', last)
  const source = new EventSource(`/api/v1/chats/${chat}/stream?${query}`)
  source.onopen = () => { seen.opened += 1 }
  source.onerror = () => {
    seen.errors += 1
    if (source.readyState === EventSource.CLOSED) connect()
  }
  for (const name of ['snapshot', 'resync', 'message', 'message_part', 'preview_reset',
    'queue_update', 'status', 'turn_finished', 'chat_updated']) {
    source.addEventListener(name, (message) => {
      last = message.lastEventId
      seen.frames.push({ id: last, event: name, data: JSON.parse(message.data) })
      if (name === 'turn_finished') { source.close(); done(seen) }
    })
  }
}
connect()
