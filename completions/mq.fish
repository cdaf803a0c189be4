# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mq_global_optspecs
    string join \n u/url= http-url= local= vhost= timeout= tls-ca= tls-cert= tls-key= o/format= q/quiet h/help V/version
end

function __fish_mq_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mq_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mq_using_subcommand
    set -l cmd (__fish_mq_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mq -n "__fish_mq_needs_command" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_needs_command" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_needs_command" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_needs_command" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_needs_command" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_needs_command" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_needs_command" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_needs_command" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_needs_command" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_needs_command" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_needs_command" -s V -l version -d 'Print version'
complete -c mq -n "__fish_mq_needs_command" -f -a "serve" -d 'Run a broker, until Ctrl-C or SIGTERM'
complete -c mq -n "__fish_mq_needs_command" -f -a "publish" -d 'Publish messages and wait until the broker has taken them'
complete -c mq -n "__fish_mq_needs_command" -f -a "consume" -d 'Consume messages from a queue, or from an exchange through a queue of its own'
complete -c mq -n "__fish_mq_needs_command" -f -a "get" -d 'Take one message from a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "rpc-call" -d 'Call an RPC server: send requests, print the replies'
complete -c mq -n "__fish_mq_needs_command" -f -a "rpc-serve" -d 'Answer the requests of a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "declare-exchange" -d 'Make an exchange'
complete -c mq -n "__fish_mq_needs_command" -f -a "declare-queue" -d 'Make a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "bind" -d 'Bind a queue or an exchange to an exchange'
complete -c mq -n "__fish_mq_needs_command" -f -a "unbind" -d 'Take a binding away'
complete -c mq -n "__fish_mq_needs_command" -f -a "route" -d 'Explain where a message would go, and why not elsewhere'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-exchange" -d 'Delete an exchange and its bindings'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-queue" -d 'Delete a queue and the messages in it'
complete -c mq -n "__fish_mq_needs_command" -f -a "purge-queue" -d 'Drop every ready message of a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-queues" -d 'List the queues of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-exchanges" -d 'List the exchanges of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-bindings" -d 'List the bindings of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-consumers" -d 'List the consumers of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-connections" -d 'List the connections of clients to the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-channels" -d 'List the channels of clients to the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-vhosts" -d 'List the virtual hosts of the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "status" -d 'Say what the broker is and how much it has to do'
complete -c mq -n "__fish_mq_needs_command" -f -a "store" -d 'Look after the data directory of a broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "ping" -d 'Ask the broker for an answer and say how long it took'
complete -c mq -n "__fish_mq_needs_command" -f -a "wait" -d 'Wait until the broker answers, at most --timeout [default: 30s]'
complete -c mq -n "__fish_mq_needs_command" -f -a "bench" -d 'Measure a broker: rates, latencies, and whether every message comes through'
complete -c mq -n "__fish_mq_needs_command" -f -a "tutorial" -d 'Learn by the classic lessons, run live on a real broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "completions" -d 'Print the completions for a shell'
complete -c mq -n "__fish_mq_needs_command" -f -a "man" -d 'Print the manual page of mq or of a command'
complete -c mq -n "__fish_mq_needs_command" -f -a "help" -d 'Print the help of mq or of a command'
complete -c mq -n "__fish_mq_using_subcommand serve" -l listen -d 'Listen for AMQP on this address; may be given several times; port 0 takes a free one, and localhost is both 127.0.0.1 and ::1 [default: localhost:5672]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http -d 'Serve the management API on this address [default: localhost:15672; with --listen none]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-listen -d 'Listen for AMQP over TLS on this address, with --tls-cert and --tls-key; --tls-ca asks clients for theirs. SIGHUP reads the files again' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-verify -d 'Ask TLS clients for a certificate that is signed by --tls-ca: not at all, and refuse a wrong one, or refuse them without one [default: required with --tls-ca, else none]' -r -f -a "none\t''
optional\t''
required\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l data-dir -d 'Keep the broker in this directory, where --local finds it [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l threads -d 'Threads that serve connections [default: one less than there are cores, at least one]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l compat -d 'Answer as this release of RabbitMQ does; 4.3 refuses what RabbitMQ 4.3 refuses by default, so that a test run shows what an upgrade breaks [default: as RabbitMQ 4.3.6 does, but what it refuses by default still works]' -r -f -a "3.10\t''
4.3\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l definitions -d 'Load this file of definitions, as RabbitMQ exports them, over what is there before clients are let in' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l memory-high-watermark -d 'Have publishers pause while the process has more memory than this: a part of the machine\'s, such as 0.6, or a size, such as 2GiB' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l disk-free-limit -d 'Have publishers pause while less than this is free on the data directory\'s disk [default: 50MB]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-connections -d 'Refuse more connections than this [default: as many as there are file descriptors]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-channels -d 'Refuse more channels than this, those of all connections together [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l consumer-max-per-channel -d 'Refuse more consumers than this on a channel [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-message-size -d 'Refuse messages with larger bodies, at most 512MiB [default: 128MiB; with --compat 4.3 16MiB]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l heartbeat -d 'Offer clients this time between heartbeats; 0s offers none [default: 60s]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l consumer-timeout -d 'Close channels that hold a message unacknowledged for longer than this, for example 30m [default: never]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-format -d 'Write the log on stderr in this format; json is one object a line, errors of the start included' -r -f -a "text\t''
json\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-level -d 'Log this and what is worse [default: what RUST_LOG says, else info; with --quiet error]' -r -f -a "none\t''
error\t''
warning\t''
info\t''
debug\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-level-file -d 'Read the level from this file, at the start and again at each SIGHUP' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l memory -d 'Keep nothing on disk, and use no directory'
complete -c mq -n "__fish_mq_using_subcommand serve" -l print-url -d 'Print the URL that is listened on as the first line of stdout, the management API\'s as the second'
complete -c mq -n "__fish_mq_using_subcommand serve" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand publish" -s e -l exchange -d 'Publish to this exchange [default: the one that leads to the queue named by the routing key]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l type -d 'Declare the exchange first, with this type: direct, fanout, topic, headers or another' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s k -l routing-key -d 'Publish with this routing key' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l queue -d 'Publish to this queue; it is declared when it is not there' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l queue-type -d 'Declare a queue that is not there with this type [default: the virtual host\'s]' -r -f -a "classic\t''
quorum\t''
stream\t''"
complete -c mq -n "__fish_mq_using_subcommand publish" -l declare -d 'Declare the queue or exchange when it is not there: durable, transient, as programs do that do not say durable, or no [default: durable; rpc-call: no]' -r -f -a "durable\t'Make what is not there, so that it outlives a restart of the broker'
transient\t'Make what is not there, until the broker restarts'
no\t'Make nothing'"
complete -c mq -n "__fish_mq_using_subcommand publish" -s f -l file -d 'Take the body from this file; may be given several times' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -s n -l count -d 'Publish every message this often [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l rate -d 'Publish no faster than this, for example 100/s [default: as fast as the broker takes them]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l cc -d 'Route a copy by this key as well; receivers see it (CC); may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l bcc -d 'Route a copy by this key as well; receivers do not see it (BCC); may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l delay -d 'Have an exchange of type x-delayed-message keep the message this long, for example 5m (x-delay)' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l filter-value -d 'Give the message this value for a stream\'s filter (x-stream-filter-value)' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s H -l header -d 'Add a header, as NAME=VALUE or NAME:TYPE=VALUE (str, int, float, bool, time, bytes, json)' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s C -l content-type -d 'Say what the body is, for example application/json' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l content-encoding -d 'Say how the body is encoded, for example gzip' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l correlation-id -d 'Mark the message, so that a reply can be matched to it' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l reply-to -d 'Name the queue a reply shall go to' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l priority -d 'Set the priority, 0 to 255; queues with priorities deliver higher ones first' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l expiration -d 'Drop the message when it has waited this long, for example 30s' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l message-id -d 'Give the message an id' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l timestamp -d 'Set the time, as seconds since 1970 or a date such as 2026-11-22T16:00:00Z' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l message-type -d 'Name the type of the message' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l user-id -d 'Name the user; the broker checks that it is the one logged in' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l app-id -d 'Name the program that made the message' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand publish" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand publish" -s l -l lines -d 'Make every line a message'
complete -c mq -n "__fish_mq_using_subcommand publish" -l jsonl -d 'Make every line a message, as the JSON object that `mq consume -o jsonl` prints'
complete -c mq -n "__fish_mq_using_subcommand publish" -l mandatory -d 'End with exit code 1 when a message reaches no queue'
complete -c mq -n "__fish_mq_using_subcommand publish" -l transient -d 'Let the message be lost when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand publish" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand publish" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand consume" -l queue -d 'Consume from this queue; it is declared when it is not there' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l declare -d 'Declare the queue or exchange when it is not there: durable, transient, as programs do that do not say durable, or no [default: durable; rpc-call: no]' -r -f -a "durable\t'Make what is not there, so that it outlives a restart of the broker'
transient\t'Make what is not there, until the broker restarts'
no\t'Make nothing'"
complete -c mq -n "__fish_mq_using_subcommand consume" -s e -l exchange -d 'Consume what passes this exchange from now on, through a queue that is deleted at the end' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l type -d 'Declare the exchange first, with this type: direct, fanout, topic, headers or another' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s k -l key -d 'Bind with this routing key or pattern; may be given several times [default: # for topic, else empty]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s H -l header -d 'Bind with this header, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l match -d 'Whether all headers must match or any of them (x-match)' -r -f -a "all\t''
any\t''
all-with-x\t''
any-with-x\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l queue-type -d 'Declare a queue that is not there with this type [default: the virtual host\'s; stream with --offset or --filter]' -r -f -a "classic\t''
quorum\t''
stream\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l priority -d 'Get messages before consumers of lower priority, while there is room for more; may be negative (x-priority)' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l offset -d 'Begin here in a stream: first, last, next, a number, a time such as 2026-11-22T16:00:00Z, or that long ago, such as 1h (x-stream-offset) [default: next]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l filter -d 'Take only messages with this filter value from a stream; may be given several times (x-stream-filter)' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s n -l count -d 'Stop after this many messages [default: go on]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l idle-timeout -d 'Stop when no message has come for this time, for example 5s [default: go on]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l prefetch -d 'Hold at most this many unacknowledged messages [default: 100; with --exec as many as handlers]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l ack -d 'Who acknowledges: manual, we do when a message is done with; auto, the broker does when it sends it' -r -f -a "manual\t''
auto\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l template -d 'Print messages like this, for example \'{routing_key}: {body}\'' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l save-dir -d 'Save each body as a file of this directory, its properties beside it' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l exec -d 'Run this shell command for each message: the body on its stdin, the rest in MQ_* variables' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s j -l jobs -d 'Run at most this many commands at a time [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l on-failure -d 'What to do with a message whose command fails; exit code 75 always tries again, 65 always rejects' -r -f -a "requeue\t'Try it again after a pause that grows; it goes back to the queue when the command ends first'
reject\t'Drop it, or dead-letter it where the queue says so'"
complete -c mq -n "__fish_mq_using_subcommand consume" -l max-attempts -d 'Reject a message when its command has failed this often, at most 40 [default: try on, with pauses of 0.5 to 30 s]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand consume" -l exclusive -d 'Be the queue\'s only consumer'
complete -c mq -n "__fish_mq_using_subcommand consume" -l match-unfiltered -d 'Take messages without a filter value as well (x-stream-match-unfiltered)'
complete -c mq -n "__fish_mq_using_subcommand consume" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand consume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand get" -l queue -d 'The queue to take from' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l template -d 'Print the message like this, for example \'{routing_key}: {body}\'' -r
complete -c mq -n "__fish_mq_using_subcommand get" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand get" -l peek -d 'Look only: the message stays in the queue, in its place'
complete -c mq -n "__fish_mq_using_subcommand get" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l queue -d 'The queue that the server answers' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s e -l exchange -d 'Send requests through this exchange instead' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s k -l routing-key -d 'Send requests with this routing key' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s j -l jobs -d 'Have at most this many requests under way at a time [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l declare -d 'Declare the queue or exchange when it is not there: durable, transient, as programs do that do not say durable, or no [default: durable; rpc-call: no]' -r -f -a "durable\t'Make what is not there, so that it outlives a restart of the broker'
transient\t'Make what is not there, until the broker restarts'
no\t'Make nothing'"
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s H -l header -d 'Add a header, as NAME=VALUE or NAME:TYPE=VALUE (str, int, float, bool, time, bytes, json)' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s C -l content-type -d 'Say what the body is, for example application/json' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l content-encoding -d 'Say how the body is encoded, for example gzip' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l correlation-id -d 'Mark the message, so that a reply can be matched to it' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l reply-to -d 'Name the queue a reply shall go to' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l priority -d 'Set the priority, 0 to 255; queues with priorities deliver higher ones first' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l expiration -d 'Drop the message when it has waited this long, for example 30s' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l message-id -d 'Give the message an id' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l timestamp -d 'Set the time, as seconds since 1970 or a date such as 2026-11-22T16:00:00Z' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l message-type -d 'Name the type of the message' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l user-id -d 'Name the user; the broker checks that it is the one logged in' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l app-id -d 'Name the program that made the message' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s l -l lines -d 'Make every line of stdin a request'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l reply-queue -d 'Receive replies in an exclusive queue rather than through the broker\'s direct reply-to'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l transient -d 'Let the message be lost when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l queue -d 'The queue to answer; it is declared when it is not there' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l declare -d 'Declare the queue or exchange when it is not there: durable, transient, as programs do that do not say durable, or no [default: durable; rpc-call: no]' -r -f -a "durable\t'Make what is not there, so that it outlives a restart of the broker'
transient\t'Make what is not there, until the broker restarts'
no\t'Make nothing'"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l exec -d 'Run this shell command for each request: the body on its stdin, the reply from its stdout' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l coprocess -d 'Keep this shell command running: a request is a line on its stdin, the reply a line of its stdout' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l builtin -d 'Answer with what is built in: a Fibonacci number, the request itself, or its text in capitals' -r -f -a "fib\t''
echo\t''
upper\t''"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s n -l count -d 'Stop after this many requests [default: go on]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s j -l jobs -d 'Answer at most this many requests at a time with --exec [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l on-failure -d 'What to do with a message whose command fails; exit code 75 always tries again, 65 always rejects' -r -f -a "requeue\t'Try it again after a pause that grows; it goes back to the queue when the command ends first'
reject\t'Drop it, or dead-letter it where the queue says so'"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l max-attempts -d 'Reject a message when its command has failed this often, at most 40 [default: try on, with pauses of 0.5 to 30 s]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l type -d 'Its type: direct, fanout, topic, headers, x-consistent-hash, x-delayed-message, x-local-random, x-modulus-hash, x-random, x-recent-history, or one of the broker\'s own [default: the one that another option belongs to, else direct]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l alternate-exchange -d 'Send messages that no binding matches to this exchange' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l delayed-type -d 'Keep messages for the time in their x-delay header, then route them like this type (x-delayed-type)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l hash-header -d 'Choose the queue by the hash of this header rather than of the routing key (hash-header)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l hash-property -d 'Choose the queue by the hash of this property rather than of the routing key (hash-property)' -r -f -a "correlation_id\t''
message_id\t''
timestamp\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l history-length -d 'Give a queue that is bound the last messages, this many (x-recent-history-length)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l argument -d 'Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l transient -d 'Let it be gone when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l auto-delete -d 'Delete it when its last binding goes'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l internal -d 'Take messages from other exchanges only'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l ttl -d 'Drop or dead-letter messages that have waited this long, for example 30s (x-message-ttl)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l expires -d 'Delete the queue when nobody has used it this long (x-expires)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-length -d 'Keep at most this many messages (x-max-length)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-length-bytes -d 'Keep at most this many bytes of bodies, for example 64MiB (x-max-length-bytes)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l overflow -d 'What to do when it is full: drop the oldest message, or refuse new ones (x-overflow) [default: drop-head]' -r -f -a "drop-head\t''
reject-publish\t''
reject-publish-dlx\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l dead-letter-exchange -d 'Send dropped and rejected messages to this exchange (x-dead-letter-exchange)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l dead-letter-routing-key -d 'Give them this routing key (x-dead-letter-routing-key) [default: their own]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l dead-letter-strategy -d 'How sure dead-lettering of a quorum queue is (x-dead-letter-strategy) [default: at-most-once]' -r -f -a "at-most-once\t''
at-least-once\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l delivery-limit -d 'Drop or dead-letter a message that came back more often than this; -1 is never (x-delivery-limit)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l consumer-timeout -d 'End consumers that hold a message longer than this (x-consumer-timeout)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l queue-type -d 'The type (x-queue-type) [default: the virtual host\'s]' -r -f -a "classic\t''
quorum\t''
stream\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-priority -d 'Deliver messages by priority, 0 to this number (x-max-priority)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l queue-mode -d 'Whether messages are kept on disk rather than in memory (x-queue-mode)' -r -f -a "default\t''
lazy\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l queue-version -d 'The version of a classic queue\'s storage, 1 or 2 (x-queue-version)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l leader-locator -d 'Which node leads (x-queue-leader-locator)' -r -f -a "client-local\t''
balanced\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l quorum-initial-group-size -d 'How many nodes keep a quorum queue at first (x-quorum-initial-group-size)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l initial-cluster-size -d 'How many nodes keep a stream at first (x-initial-cluster-size)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-age -d 'Keep a stream\'s messages this long, for example 7D or 12h (x-max-age)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l segment-size -d 'The size of a stream\'s files, for example 500MB; whole files are dropped (x-stream-max-segment-size-bytes)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l filter-size -d 'Bytes of a stream\'s filter for each of its files, 16 to 255 (x-stream-filter-size-bytes)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l argument -d 'Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l transient -d 'Let it be gone when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l auto-delete -d 'Delete it when its last consumer goes'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l single-active-consumer -d 'Deliver to one consumer at a time; others wait (x-single-active-consumer)'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l lazy -d 'Keep messages on disk rather than in memory; the same as --queue-mode lazy'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand bind" -s e -l exchange -d 'The exchange that messages come from' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l queue -d 'The queue that messages go to' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l to-exchange -d 'The exchange that messages go to, instead of a queue' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s k -l key -d 'The routing key or pattern; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s H -l header -d 'A header that messages must have, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l match -d 'Whether all headers must match or any of them; only -with-x looks at names that begin with x- (x-match) [default: all]' -r -f -a "all\t''
any\t''
all-with-x\t''
any-with-x\t''"
complete -c mq -n "__fish_mq_using_subcommand bind" -l weight -d 'The share of messages that is to come here; for consistent-hash exchanges, whose key it is' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand bind" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand bind" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand unbind" -s e -l exchange -d 'The exchange that messages come from' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l queue -d 'The queue that messages go to' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l to-exchange -d 'The exchange that messages go to, instead of a queue' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s k -l key -d 'The routing key or pattern; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s H -l header -d 'A header that messages must have, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l match -d 'Whether all headers must match or any of them; only -with-x looks at names that begin with x- (x-match) [default: all]' -r -f -a "all\t''
any\t''
all-with-x\t''
any-with-x\t''"
complete -c mq -n "__fish_mq_using_subcommand unbind" -l weight -d 'The share of messages that is to come here; for consistent-hash exchanges, whose key it is' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand unbind" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand unbind" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand route" -s e -l exchange -d 'The exchange that the message would be published to [default: the default exchange]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s k -l key -d 'The message\'s routing key' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s H -l header -d 'A header of the message, as NAME=VALUE or NAME:TYPE=VALUE; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand route" -l all -d 'Show every binding that does not match, not only the nearest'
complete -c mq -n "__fish_mq_using_subcommand route" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand route" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l if-unused -d 'Only when nothing is bound to it'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s y -l yes -d 'Do it without asking; needed where there is no terminal to ask on'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l if-empty -d 'Only when no message is in it'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l if-unused -d 'Only when nobody consumes from it'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s y -l yes -d 'Do it without asking; needed where there is no terminal to ask on'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s y -l yes -d 'Do it without asking; needed where there is no terminal to ask on'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l columns -d 'Show these columns, with commas between' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l sort -d 'Sort by this column; -COLUMN turns the order around' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l filter -d 'Show only rows where this holds: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l watch -d 'Look again and again, with this time between, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l columns -d 'Show these columns, with commas between' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l sort -d 'Sort by this column; -COLUMN turns the order around' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l filter -d 'Show only rows where this holds: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l watch -d 'Look again and again, with this time between, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l columns -d 'Show these columns, with commas between' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l sort -d 'Sort by this column; -COLUMN turns the order around' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l filter -d 'Show only rows where this holds: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l watch -d 'Look again and again, with this time between, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l columns -d 'Show these columns, with commas between' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l sort -d 'Sort by this column; -COLUMN turns the order around' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l filter -d 'Show only rows where this holds: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l watch -d 'Look again and again, with this time between, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l columns -d 'Show these columns, with commas between' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l sort -d 'Sort by this column; -COLUMN turns the order around' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l filter -d 'Show only rows where this holds: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l watch -d 'Look again and again, with this time between, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l columns -d 'Show these columns, with commas between' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l sort -d 'Sort by this column; -COLUMN turns the order around' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l filter -d 'Show only rows where this holds: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l watch -d 'Look again and again, with this time between, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l columns -d 'Show these columns, with commas between' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l sort -d 'Sort by this column; -COLUMN turns the order around' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l filter -d 'Show only rows where this holds: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l watch -d 'Look again and again, with this time between, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand status" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand status" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -f -a "check" -d 'Verify that a directory is whole, and say what is kept in it'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -f -a "repair" -d 'Repair what a broker must not repair by itself when it starts'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand ping" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand ping" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand ping" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand wait" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand wait" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand bench" -s x -l publishers -d 'Publish from so many connections [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s y -l consumers -d 'Consume on so many connections; 0 only publishes [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l queues -d 'Use so many queues, shared out among publishers and consumers [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s s -l size -d 'Publish bodies of this size, for example 1KiB [default: 1KiB]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s z -l duration -d 'Measure for so long, for example 10s or 5m [default: 10s, or until --count is reached]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l warmup -d 'Load the broker for so long before measuring [default: 1s, or 0s with --count]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s n -l count -d 'Publish so many messages in all, and end when they have come' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s c -l confirm -d 'Publish with confirms, at most so many unconfirmed a publisher [default: without]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s a -l ack -d 'Acknowledge after every so many deliveries [default: the broker waits for no acknowledgement]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l prefetch -d 'Let a consumer have at most so many unacknowledged [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s r -l rate -d 'Publish at this rate, all publishers together, for example 3000/s [default: as fast as can be]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l max-backlog -d 'Let publishers pause while so many messages are in the broker; 0 is no limit [default: 50000, or 0 with --rate]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s t -l exchange-type -d 'Publish to an exchange of this type [default: to the queues]' -r -f -a "direct\t''
fanout\t''
topic\t''
headers\t''"
complete -c mq -n "__fish_mq_using_subcommand bench" -l bindings -d 'Bind so many keys, of which each message has one [default: one a queue]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l argument -d 'Declare queues with this argument, for example x-queue-type=quorum; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l fail-if -d 'End with exit code 1 if this holds, for example \'p99>20ms\' or \'publish-rate<100k\'; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l against -d 'Measure the broker at this address as well, in turns, and compare' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l rounds -d 'Measure each broker in so many turns [default: 3]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand bench" -l durable -d 'Make the exchange durable, as the queues always are'
complete -c mq -n "__fish_mq_using_subcommand bench" -s p -l persistent -d 'Make messages persistent, and the exchange durable'
complete -c mq -n "__fish_mq_using_subcommand bench" -l verify -d 'Look whether every message comes, once, in its publisher\'s order and as it was sent; if not, end with exit code 1'
complete -c mq -n "__fish_mq_using_subcommand bench" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l step -d 'Wait for Enter after each step'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l check -d 'Print verdicts only: a test for any broker'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand completions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand completions" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand man" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand man" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand help" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l http-url -d 'Ask the management API at this address [env: MQ_HTTP_URL, unless --url is given] [default: where the broker says, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l timeout -d 'Give up after this time, for example 500ms or 2m; consume and wait stop after it [default: 30s for an answer]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -l tls-cert -d 'Show the broker the certificate in this PEM file, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -s o -l format -d 'Answer in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand help" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c mq -n "__fish_mq_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
