// What a program on amqplib relies on: promises, confirms, events, and the broker's error texts.
//
// Each check gets a connection of its own. All run even if some fail; the last line is the sum.

'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const amqp = require('amqplib');

const URL = process.env.MQ_TEST_URL;
const VHOST = process.env.MQ_TEST_VHOST;
const CHECK_MAX_MS = 30000;

/** A channel whose errors are kept instead of thrown. */
async function openChannel(connection, kind = 'createChannel') {
  const channel = await connection[kind]();
  channel.on('error', () => {});
  return channel;
}

/** A server-named queue that goes with its connection. */
async function freshQueue(channel, options = {}) {
  return (await channel.assertQueue('', { exclusive: true, ...options })).queue;
}

/** The next `count` messages of a queue, acknowledged. */
async function take(channel, queue, count) {
  const taken = [];
  let enough;
  const all = new Promise((resolve) => (enough = resolve));
  const { consumerTag } = await channel.consume(queue, (message) => {
    taken.push(message);
    channel.ack(message);
    if (taken.length === count) enough();
  });
  await all;
  await channel.cancel(consumerTag);
  return taken;
}

/** Code and text with which the broker closes a channel on a call. */
async function refused(connection, call) {
  const channel = await connection.createChannel();
  const error = once(channel, 'error');
  const closed = new Promise((resolve) => channel.once('close', resolve));
  await assert.rejects(call(channel));
  const [{ code, message }] = await error;
  await closed;
  const text = /with message "(.*)"$/s.exec(message);
  assert.ok(text, message);
  return `${code} ${text[1]}`;
}

const checks = {
  async 'server properties'(connection) {
    const { serverProperties } = connection.connection;
    assert.equal(serverProperties.capabilities.publisher_confirms, true);
    assert.equal(serverProperties.capabilities['basic.nack'], true);
    assert.equal(typeof serverProperties.version, 'string');
  },

  async 'publish, consume, acknowledge'(connection) {
    const channel = await openChannel(connection);
    const queue = await freshQueue(channel);
    for (let i = 0; i < 200; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
    const taken = await take(channel, queue, 200);
    assert.deepEqual(
      taken.map((m) => m.content.toString()),
      Array.from({ length: 200 }, (_, i) => `${i}`),
    );
    assert.deepEqual(
      taken.map((m) => m.fields.deliveryTag),
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    assert.ok(taken.every((m) => m.fields.redelivered === false && m.fields.exchange === ''));
    assert.deepEqual(await channel.checkQueue(queue), { queue, messageCount: 0, consumerCount: 0 });
  },

  async 'confirm channel'(connection) {
    const channel = await openChannel(connection, 'createConfirmChannel');
    const queue = await freshQueue(channel);
    for (let i = 0; i < 1000; i++) channel.sendToQueue(queue, Buffer.from('x'));
    await channel.waitForConfirms();
    assert.equal((await channel.checkQueue(queue)).messageCount, 1000);
    await new Promise((resolve, reject) =>
      channel.publish('amq.topic', 'nobody', Buffer.from('y'), {}, (e) => (e ? reject(e) : resolve())),
    );
    assert.equal((await channel.purgeQueue(queue)).messageCount, 1000);
  },

  async 'a mandatory message comes back before its confirm'(connection) {
    const channel = await openChannel(connection, 'createConfirmChannel');
    const events = [];
    channel.on('return', (message) => events.push(message));
    await new Promise((resolve) =>
      channel.publish('amq.direct', 'nobody', Buffer.from('lost'), { mandatory: true, headers: { a: 1 } }, resolve),
    );
    assert.equal(events.length, 1);
    const [{ fields, properties, content }] = events;
    assert.equal(content.toString(), 'lost');
    assert.equal(fields.replyCode, 312);
    assert.equal(fields.replyText, 'NO_ROUTE');
    assert.equal(fields.exchange, 'amq.direct');
    assert.equal(fields.routingKey, 'nobody');
    assert.equal(properties.headers.a, 1);
  },

  async 'rpc through amq.rabbitmq.reply-to'(connection) {
    const server = await openChannel(connection);
    const client = await openChannel(connection);
    const queue = await freshQueue(server);
    await server.prefetch(1);
    await server.consume(queue, (message) => {
      const { replyTo, correlationId } = message.properties;
      assert.match(replyTo, /^amq\.rabbitmq\.reply-to\../);
      server.sendToQueue(replyTo, Buffer.from(`${message.content}!`), { correlationId });
      server.ack(message);
    });
    const waiting = new Map();
    await client.consume(
      'amq.rabbitmq.reply-to',
      (message) => waiting.get(message.properties.correlationId)(message.content.toString()),
      { noAck: true },
    );
    const call = (id) =>
      new Promise((resolve) => {
        waiting.set(id, resolve);
        client.sendToQueue(queue, Buffer.from(id), { correlationId: id, replyTo: 'amq.rabbitmq.reply-to' });
      });
    const ids = Array.from({ length: 100 }, (_, i) => `call ${i}`);
    assert.deepEqual(await Promise.all(ids.map(call)), ids.map((id) => `${id}!`));
  },

  async 'prefetch limits what is unacknowledged'(connection) {
    const channel = await openChannel(connection);
    const queue = await freshQueue(channel);
    await channel.prefetch(3);
    for (let i = 0; i < 7; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
    const got = [];
    let more = () => {};
    await channel.consume(queue, (message) => {
      got.push(message);
      more();
    });
    const until = (count) =>
      new Promise((resolve) => {
        more = () => got.length >= count && resolve();
        more();
      });
    await until(3);
    assert.deepEqual(await channel.checkQueue(queue), { queue, messageCount: 4, consumerCount: 1 });
    channel.ack(got[1], true);
    await until(5);
    assert.equal((await channel.checkQueue(queue)).messageCount, 2);
    channel.nackAll(true);
    await until(8);
    assert.deepEqual(
      got.slice(5, 8).map((m) => [m.content.toString(), m.fields.redelivered]),
      [['2', true], ['3', true], ['4', true]],
    );
  },

  async 'many channels, each with its own consumer'(connection) {
    const channels = await Promise.all(Array.from({ length: 200 }, () => openChannel(connection)));
    const results = await Promise.all(
      channels.map(async (channel, i) => {
        const queue = await freshQueue(channel);
        channel.sendToQueue(queue, Buffer.from(`${i}`));
        const [message] = await take(channel, queue, 1);
        await channel.close();
        return message.content.toString();
      }),
    );
    assert.deepEqual(results, channels.map((_, i) => `${i}`));
  },

  async 'get'(connection) {
    const channel = await openChannel(connection);
    const queue = await freshQueue(channel);
    assert.equal(await channel.get(queue), false);
    channel.sendToQueue(queue, Buffer.from('1'));
    channel.sendToQueue(queue, Buffer.from('2'));
    const first = await channel.get(queue);
    assert.deepEqual([first.content.toString(), first.fields.messageCount], ['1', 1]);
    channel.nack(first);
    const again = await channel.get(queue, { noAck: true });
    assert.deepEqual([again.content.toString(), again.fields.redelivered], ['1', true]);
    const second = await channel.get(queue);
    channel.reject(second, false);
    assert.equal(await channel.get(queue), false);
  },

  async 'recover gives everything back'(connection) {
    const channel = await openChannel(connection);
    const queue = await freshQueue(channel);
    channel.sendToQueue(queue, Buffer.from('1'));
    assert.notEqual(await channel.get(queue), false);
    await channel.recover();
    assert.equal((await channel.get(queue)).fields.redelivered, true);
  },

  async 'exchange to exchange, topic and headers'(connection) {
    const channel = await openChannel(connection);
    await channel.assertExchange('js.source', 'topic', { autoDelete: true, durable: false });
    await channel.assertExchange('js.sink', 'headers', { autoDelete: true, durable: false });
    const queue = await freshQueue(channel);
    await channel.bindQueue(queue, 'js.sink', '', { 'x-match': 'any', colour: 'red', size: 7 });
    await channel.bindExchange('js.sink', 'js.source', 'a.#');
    channel.publish('js.source', 'a', Buffer.from('1'), { headers: { colour: 'red' } });
    channel.publish('js.source', 'a.b.c', Buffer.from('2'), { headers: { size: 7 } });
    channel.publish('js.source', 'a.b', Buffer.from('no'), { headers: { size: 8 } });
    channel.publish('js.source', 'b', Buffer.from('no'), { headers: { size: 7 } });
    channel.publish('js.source', 'a.end', Buffer.from('3'), { headers: { size: 7, colour: 'red' } });
    const taken = await take(channel, queue, 3);
    assert.deepEqual(
      taken.map((m) => [m.content.toString(), m.fields.exchange, m.fields.routingKey]),
      [['1', 'js.source', 'a'], ['2', 'js.source', 'a.b.c'], ['3', 'js.source', 'a.end']],
    );
    await channel.unbindQueue(queue, 'js.sink', '', { 'x-match': 'any', colour: 'red', size: 7 });
    await assert.rejects(channel.checkExchange('js.source'), /404/);
  },

  async 'headers and properties come back as they were'(connection) {
    const channel = await openChannel(connection);
    const queue = await freshQueue(channel);
    const options = {
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      headers: {
        yes: true,
        small: 1,
        negative: -129,
        large: 2 ** 40,
        fraction: 0.1,
        text: 'grüße',
        nothing: null,
        bytes: Buffer.from([0, 255]),
        list: [1, 'two', [true], { deep: null }],
        table: { a: { b: 1 } },
        when: { '!': 'timestamp', value: 1600000000 },
        money: { '!': 'decimal', value: { digits: 314, places: 2 } },
        single: { '!': 'float', value: 0.5 },
      },
      deliveryMode: 2,
      priority: 3,
      correlationId: 'c',
      replyTo: 'r',
      expiration: '60000',
      messageId: 'm',
      timestamp: 1234567890,
      type: 't',
      userId: 'guest',
      appId: 'a',
    };
    const body = Buffer.alloc(300000, 'body');
    channel.sendToQueue(queue, body, options);
    channel.sendToQueue(queue, Buffer.alloc(0), options);
    const [first, second] = await take(channel, queue, 2);
    assert.ok(first.content.equals(body));
    assert.equal(second.content.length, 0);
    for (const { properties } of [first, second]) {
      for (const [name, value] of Object.entries(options)) {
        const wanted = name === 'headers' ? { ...value, single: 0.5 } : value;
        assert.deepEqual(properties[name], wanted, name);
      }
    }
  },

  async 'a consumer is told when its queue goes'(connection) {
    const channel = await openChannel(connection);
    const other = await openChannel(connection);
    const queue = await freshQueue(channel);
    const told = new Promise((resolve) => channel.consume(queue, resolve).then(() => other.deleteQueue(queue)));
    assert.equal(await told, null);
    await freshQueue(channel);
  },

  async 'errors close the channel with code and text'(connection) {
    const owner = await amqp.connect(URL);
    owner.on('error', () => {});
    const channel = await openChannel(owner);
    await channel.assertQueue('js.mine', { exclusive: true });
    await channel.assertQueue('js.plain', { autoDelete: true, durable: false });
    await channel.assertExchange('js.x', 'direct', { autoDelete: true, durable: false });
    const queue = (name) => `queue '${name}' in vhost '${VHOST}'`;
    const exchange = (name) => `exchange '${name}' in vhost '${VHOST}'`;
    const locked =
      `405 RESOURCE_LOCKED - cannot obtain exclusive access to locked ${queue('js.mine')}. It could be` +
      ' originally declared on another connection or the exclusive property value does not match that' +
      ' of the original declaration.';
    const table = [
      [(c) => c.checkQueue('nope'), `404 NOT_FOUND - no ${queue('nope')}`],
      [(c) => c.checkExchange('nope'), `404 NOT_FOUND - no ${exchange('nope')}`],
      [(c) => c.consume('nope', () => {}), `404 NOT_FOUND - no ${queue('nope')}`],
      [(c) => c.bindQueue('js.plain', 'nope', ''), `404 NOT_FOUND - no ${exchange('nope')}`],
      [(c) => c.bindExchange('nope', 'js.x', ''), `404 NOT_FOUND - no ${exchange('nope')}`],
      [(c) => c.purgeQueue('nope'), `404 NOT_FOUND - no ${queue('nope')}`],
      [(c) => c.checkQueue('js.mine'), locked],
      [(c) => c.deleteQueue('js.mine'), locked],
      [
        (c) => c.assertQueue('js.plain', { autoDelete: true }),
        `406 PRECONDITION_FAILED - inequivalent arg 'durable' for ${queue('js.plain')}: received 'true' but current is 'false'`,
      ],
      [
        (c) => c.assertQueue('js.plain', { autoDelete: true, durable: false, maxLength: 7 }),
        `406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for ${queue('js.plain')}: received the value '7' of type 'byte' but current is none`,
      ],
      [
        (c) => c.assertExchange('js.x', 'topic', { autoDelete: true, durable: false }),
        `406 PRECONDITION_FAILED - inequivalent arg 'type' for ${exchange('js.x')}: received 'topic' but current is 'direct'`,
      ],
      [(c) => c.assertQueue('amq.mine'), "403 ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"],
      [
        (c) => c.consume('amq.rabbitmq.reply-to', () => {}),
        '406 PRECONDITION_FAILED - reply consumer cannot acknowledge',
      ],
    ];
    for (const [call, text] of table) assert.equal(await refused(connection, call), text);
    // Asynchronous ones: nothing is waiting for them, the channel just goes.
    for (const [call, code, text] of [
      [(c) => c.publish('nope', '', Buffer.from('')), 404, `NOT_FOUND - no ${exchange('nope')}`],
      [(c) => c.ack({ fields: { deliveryTag: 5 } }), 406, 'PRECONDITION_FAILED - unknown delivery tag 5'],
    ]) {
      const victim = await connection.createChannel();
      const error = once(victim, 'error');
      call(victim);
      const [raised] = await error;
      assert.equal(raised.code, code);
      assert.ok(raised.message.includes(`"${text}"`), raised.message);
    }
    await owner.close();
  },

  async 'a connection-level error ends the connection'(connection) {
    const channel = await openChannel(connection);
    const queue = await freshQueue(channel);
    const error = once(connection, 'error');
    const options = { consumerTag: 'same' };
    await channel.consume(queue, () => {}, options);
    await assert.rejects(channel.consume(queue, () => {}, options));
    const [raised] = await error;
    assert.match(raised.message, /530 \(NOT-ALLOWED\) with message "NOT_ALLOWED - attempt to reuse consumer tag 'same'"/);
    return 'closed';
  },

  async 'a wrong password and a missing vhost'() {
    const address = new globalThis.URL(URL);
    address.password = 'wrong';
    await assert.rejects(amqp.connect(address.href), /403 \(ACCESS-REFUSED\)/);
    address.password = 'guest';
    address.pathname = '/nowhere';
    await assert.rejects(amqp.connect(address.href), /got <ConnectionClose channel:0>/);
  },
};

async function run(check) {
  const connection = await amqp.connect(`${URL}?heartbeat=10`);
  connection.on('error', () => {});
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('took too long')), CHECK_MAX_MS);
  });
  try {
    if ((await Promise.race([check(connection), tooLong])) !== 'closed') await connection.close();
  } finally {
    clearTimeout(timer);
  }
}

async function main() {
  const names = Object.keys(checks);
  let passed = 0;
  for (const name of names) {
    try {
      await run(checks[name]);
      passed += 1;
      console.log('ok', name);
    } catch (error) {
      console.log('FAILED', name);
      console.error(`--- ${name}\n${error.stack}`);
    }
  }
  console.log(`${passed} of ${names.length} checks passed`);
  process.exit(passed === names.length ? 0 : 1);
}

main();
