# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mq_global_optspecs
    string join \n u/url= http-url= local= context= vhost= timeout= tls-ca= tls-cert= tls-key= o/format= q/quiet h/help V/version
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
complete -c mq -n "__fish_mq_needs_command" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_needs_command" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_needs_command" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_needs_command" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_needs_command" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_needs_command" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_needs_command" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_needs_command" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_needs_command" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_needs_command" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_needs_command" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_needs_command" -s V -l version -d 'Print version'
complete -c mq -n "__fish_mq_needs_command" -f -a "serve" -d 'Run a broker until Ctrl-C or SIGTERM'
complete -c mq -n "__fish_mq_needs_command" -f -a "run" -d 'Run a program beside a broker of its own, and exit with its code'
complete -c mq -n "__fish_mq_needs_command" -f -a "publish" -d 'Publish messages and wait until the broker confirms them'
complete -c mq -n "__fish_mq_needs_command" -f -a "consume" -d 'Consume messages from a queue, or from an exchange through a temporary queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "get" -d 'Take one message from a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "rpc-call" -d 'Call an RPC server: send requests, print the replies'
complete -c mq -n "__fish_mq_needs_command" -f -a "rpc-serve" -d 'Answer the RPC requests in a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "declare-exchange" -d 'Declare an exchange'
complete -c mq -n "__fish_mq_needs_command" -f -a "declare-queue" -d 'Declare a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "bind" -d 'Bind a queue or an exchange to an exchange'
complete -c mq -n "__fish_mq_needs_command" -f -a "unbind" -d 'Remove a binding'
complete -c mq -n "__fish_mq_needs_command" -f -a "route" -d 'Explain which queues a message would reach, and why not the others'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-exchange" -d 'Delete an exchange and its bindings'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-queue" -d 'Delete a queue and the messages in it'
complete -c mq -n "__fish_mq_needs_command" -f -a "purge-queue" -d 'Delete every ready message of a queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-queues" -d 'List the queues of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-exchanges" -d 'List the exchanges of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-bindings" -d 'List the bindings of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-consumers" -d 'List the consumers of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-connections" -d 'List the connections of clients to the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-channels" -d 'List the channels of clients to the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-vhosts" -d 'List the virtual hosts of the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "status" -d 'Show the broker\'s version, its connections, queues and messages, and the alarms in effect'
complete -c mq -n "__fish_mq_needs_command" -f -a "store" -d 'Check or repair the data directory of a broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "restore" -d 'Make a data directory from a backup'
complete -c mq -n "__fish_mq_needs_command" -f -a "ping" -d 'Measure how long the broker takes to reply'
complete -c mq -n "__fish_mq_needs_command" -f -a "wait" -d 'Wait until the broker answers, or until what --for says is true, at most --timeout [default: 30s]'
complete -c mq -n "__fish_mq_needs_command" -f -a "smoke" -d 'Check a broker by using it: declare, route, publish, confirm, consume, ack, dead-letter, RPC'
complete -c mq -n "__fish_mq_needs_command" -f -a "expect" -d 'Check the state of a queue or an exchange, and fail if it is not as expected'
complete -c mq -n "__fish_mq_needs_command" -f -a "bench" -d 'Measure a broker: rates, latencies and lost messages'
complete -c mq -n "__fish_mq_needs_command" -f -a "tutorial" -d 'Run RabbitMQ\'s tutorials as lessons on a live broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "context" -d 'Give brokers names, and choose the one that commands work with'
complete -c mq -n "__fish_mq_needs_command" -f -a "install-links" -d 'Create links under which mq behaves as RabbitMQ\'s programs'
complete -c mq -n "__fish_mq_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c mq -n "__fish_mq_needs_command" -f -a "man" -d 'Print the manual page of mq or of a command'
complete -c mq -n "__fish_mq_needs_command" -f -a "help" -d 'Print the help of mq or of a command'
complete -c mq -n "__fish_mq_needs_command" -f -a "add-user" -d 'Create a user, without permissions'
complete -c mq -n "__fish_mq_needs_command" -f -a "change-password" -d 'Give a user another password'
complete -c mq -n "__fish_mq_needs_command" -f -a "authenticate-user" -d 'Check the password of a user; exit code 1 if the broker does not accept it'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-user-tags" -d 'Replace the tags of a user, for example administrator or monitoring'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-users" -d 'List the users and their tags'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-user-limits" -d 'Limit the connections and channels of a user'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-user-limits" -d 'List the limits of the users'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-user-limits" -d 'Remove a limit of a user, or all of them'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-password" -d 'Take the password of a user away, who then cannot log in with one'
complete -c mq -n "__fish_mq_needs_command" -f -a "hash-password" -d 'Print the hash of a password, for definitions and for add-user'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-user" -d 'Delete a user and its permissions; its connections are closed'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-permissions" -d 'Give a user permissions in the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-permissions-globally" -d 'Give a user the same permissions in every virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-permissions" -d 'List the permissions in the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-user-permissions" -d 'List the permissions of a user'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-permissions" -d 'Take the permissions of a user in the virtual host away'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-topic-permissions" -d 'Limit the routing keys of a user at a topic exchange'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-topic-permissions" -d 'List the topic permissions in the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-user-topic-permissions" -d 'List the topic permissions of a user'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-topic-permissions" -d 'Remove the topic permissions of a user, at one exchange or at all'
complete -c mq -n "__fish_mq_needs_command" -f -a "add-vhost" -d 'Create a virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "update-vhost-metadata" -d 'Change the description, the tags or the protection of a virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-vhost-tags" -d 'Replace the tags of a virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "enable-vhost-deletion-protection" -d 'Protect a virtual host from deletion'
complete -c mq -n "__fish_mq_needs_command" -f -a "disable-vhost-deletion-protection" -d 'Let a virtual host be deleted again'
complete -c mq -n "__fish_mq_needs_command" -f -a "trace-on" -d 'Publish a copy of each message of the virtual host at amq.rabbitmq.trace'
complete -c mq -n "__fish_mq_needs_command" -f -a "trace-off" -d 'Stop the trace of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-vhost-limits" -d 'Limit the connections and queues of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-vhost-limits" -d 'List the limits of the virtual host, or of all'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-vhost-limits" -d 'Remove the limits of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "restart-vhost" -d 'Start the virtual host again if it is down'
complete -c mq -n "__fish_mq_needs_command" -f -a "reconcile-vhosts" -d 'Start the virtual hosts that are down'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-vhost" -d 'Delete a virtual host with its exchanges, queues and messages, without a question'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-policy" -d 'Create or replace a policy'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-policies" -d 'List the policies of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-policies-that-match" -d 'List the policies whose pattern matches a name, the winner first'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-policy" -d 'Delete a policy'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-operator-policy" -d 'Create or replace an operator policy, whose limits win over those of policies'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-operator-policies" -d 'List the operator policies of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-operator-policy" -d 'Delete an operator policy'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-policies-with-classic-queue-mirroring" -d 'List the policies that ask for mirrors, which RabbitMQ 4 does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-operator-policies-with-classic-queue-mirroring" -d 'List the operator policies that ask for mirrors, which RabbitMQ 4 does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-cluster-has-classic-queue-mirroring-policy" -d 'Check that no policy asks for mirrors; exit code 1 if one does'
complete -c mq -n "__fish_mq_needs_command" -f -a "remove-classic-queue-mirroring-from-policies" -d 'Remove the keys that ask for mirrors from all policies'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-parameter" -d 'Set a runtime parameter of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-parameters" -d 'List the runtime parameters of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-parameter" -d 'Delete a runtime parameter of the virtual host'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-global-parameter" -d 'Set a runtime parameter of the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-global-parameters" -d 'List the runtime parameters of the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-global-parameter" -d 'Delete a runtime parameter of the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "export-definitions" -d 'Write the definitions of the broker to a file: users, vhosts, queues and so on'
complete -c mq -n "__fish_mq_needs_command" -f -a "import-definitions" -d 'Create what a file of definitions names'
complete -c mq -n "__fish_mq_needs_command" -f -a "close-connection" -d 'Close a connection of a client'
complete -c mq -n "__fish_mq_needs_command" -f -a "close-all-connections" -d 'Close the connections of clients to the virtual host, or to all'
complete -c mq -n "__fish_mq_needs_command" -f -a "close-all-user-connections" -d 'Close the connections of a user'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-feature-flags" -d 'List the feature flags'
complete -c mq -n "__fish_mq_needs_command" -f -a "enable-feature-flag" -d 'Enable a feature flag, for good'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-deprecated-features" -d 'List the features that RabbitMQ has deprecated'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-any-deprecated-features-are-used" -d 'Check that no deprecated feature is used; exit code 1 if one is'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-plugins" -d 'List the plugins that are enabled'
complete -c mq -n "__fish_mq_needs_command" -f -a "is-plugin-enabled" -d 'Check that plugins are enabled; exit code 1 if one is not'
complete -c mq -n "__fish_mq_needs_command" -f -a "enable-plugins" -d 'Enable plugins: those that mq has are built in'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-plugins" -d 'Enable exactly these plugins: those that mq has are built in'
complete -c mq -n "__fish_mq_needs_command" -f -a "disable-plugins" -d 'Disable plugins; those that are built in cannot be disabled'
complete -c mq -n "__fish_mq_needs_command" -f -a "alarms" -d 'List the alarms of memory and disk'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-alarms" -d 'Check that there is no alarm'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-local-alarms" -d 'Check that there is no alarm on the node that answers'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-running" -d 'Check that the broker runs'
complete -c mq -n "__fish_mq_needs_command" -f -a "is-running" -d 'Check that the broker runs'
complete -c mq -n "__fish_mq_needs_command" -f -a "is-booting" -d 'Check that the broker still starts; exit code 1 if it does not, as always when it answers'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-virtual-hosts" -d 'Check that all virtual hosts run'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-port-listener" -d 'Check that the broker listens on a port'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-protocol-listener" -d 'Check that the broker listens for a protocol'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-port-connectivity" -d 'Check that each port on which the broker listens can be reached from here'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-certificate-expiration" -d 'Check that no certificate of the broker expires soon'
complete -c mq -n "__fish_mq_needs_command" -f -a "node-health-check" -d 'Check the node as early releases of RabbitMQ did'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-node-is-quorum-critical" -d 'Check that quorum queues have a majority without this node'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-node-is-mirror-sync-critical" -d 'Check that mirrored queues are in sync without this node; without mirrors they are'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-for-quorum-queues-without-an-elected-leader" -d 'Check that the quorum queues of the virtual host have a leader'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-metadata-store-is-initialized" -d 'Check that the store of definitions is ready'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-metadata-store-is-initialized-with-data" -d 'Check that the store of definitions is ready and not empty'
complete -c mq -n "__fish_mq_needs_command" -f -a "has-reached-target-cluster-size" -d 'Check that the cluster has as many nodes as it is configured for'
complete -c mq -n "__fish_mq_needs_command" -f -a "await-online-quorum-plus-one" -d 'Wait until this node may be stopped without the loss of a quorum'
complete -c mq -n "__fish_mq_needs_command" -f -a "server-version" -d 'Print the version of RabbitMQ that the broker speaks as'
complete -c mq -n "__fish_mq_needs_command" -f -a "version" -d 'Print the version of this program'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-cluster-name" -d 'Name the cluster, which a single node is too'
complete -c mq -n "__fish_mq_needs_command" -f -a "cluster-status" -d 'Print the nodes of the cluster and their alarms and listeners'
complete -c mq -n "__fish_mq_needs_command" -f -a "await-online-nodes" -d 'Wait until the cluster has so many nodes'
complete -c mq -n "__fish_mq_needs_command" -f -a "listeners" -d 'List the addresses on which the broker listens'
complete -c mq -n "__fish_mq_needs_command" -f -a "environment" -d 'Print the configuration of the broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "memory-breakdown" -d 'Print the memory that each part of the broker uses'
complete -c mq -n "__fish_mq_needs_command" -f -a "report" -d 'Print the whole state of the broker as one JSON document, without passwords'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-node-auth-attempt-stats" -d 'List the logins that succeeded and failed'
complete -c mq -n "__fish_mq_needs_command" -f -a "reset-node-auth-attempt-metrics" -d 'Count logins from zero again'
complete -c mq -n "__fish_mq_needs_command" -f -a "reset-stats-db" -d 'Forget the statistics of the management API'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-unresponsive-queues" -d 'List queues that do not answer'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-channel-interceptors" -d 'List what changes the methods of channels'
complete -c mq -n "__fish_mq_needs_command" -f -a "rotate-logs" -d 'Begin new log files'
complete -c mq -n "__fish_mq_needs_command" -f -a "metadata-store-status" -d 'Print the state of the store of definitions'
complete -c mq -n "__fish_mq_needs_command" -f -a "post-upgrade" -d 'Do what is due after an upgrade'
complete -c mq -n "__fish_mq_needs_command" -f -a "federation-status" -d 'List the links of the plugin federation'
complete -c mq -n "__fish_mq_needs_command" -f -a "restart-federation-link" -d 'Restart a link of the plugin federation'
complete -c mq -n "__fish_mq_needs_command" -f -a "shovel-status" -d 'List the shovels of the plugin shovel'
complete -c mq -n "__fish_mq_needs_command" -f -a "restart-shovel" -d 'Restart a shovel of the plugin shovel'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-shovel" -d 'Delete a shovel of the plugin shovel'
complete -c mq -n "__fish_mq_needs_command" -f -a "drain" -d 'Put the broker into maintenance: close its connections and accept no new ones over TCP'
complete -c mq -n "__fish_mq_needs_command" -f -a "revive" -d 'Put the broker back into service after drain; name it by --http-url, because AMQP is closed'
complete -c mq -n "__fish_mq_needs_command" -f -a "suspend-listeners" -d 'Accept no new clients over TCP; those that are connected stay'
complete -c mq -n "__fish_mq_needs_command" -f -a "resume-listeners" -d 'Accept clients again after suspend-listeners; name the broker by --http-url, because AMQP is closed'
complete -c mq -n "__fish_mq_needs_command" -f -a "stop-app" -d 'Do what drain does: close connections and accept no new ones; the process, its messages and its management API stay'
complete -c mq -n "__fish_mq_needs_command" -f -a "start-app" -d 'Accept clients again after stop-app; name the broker by --http-url, because AMQP is closed'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-disk-free-limit" -d 'Block publishers while the disk has less free space than this, until the broker starts again or gets SIGHUP'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-vm-memory-high-watermark" -d 'Block publishers while the broker uses more memory than this, until it starts again or gets SIGHUP'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-log-level" -d 'Log messages of this level and of more severe ones, until the broker starts again or gets SIGHUP'
complete -c mq -n "__fish_mq_needs_command" -f -a "log-location" -d 'Print where the broker writes its log'
complete -c mq -n "__fish_mq_needs_command" -f -a "log-tail" -d 'Print the last lines of the broker\'s log; it remembers 1000'
complete -c mq -n "__fish_mq_needs_command" -f -a "log-tail-stream" -d 'Print lines of the broker\'s log as they are written'
complete -c mq -n "__fish_mq_needs_command" -f -a "command-line-arguments" -d 'Print the command line of the broker, without passwords'
complete -c mq -n "__fish_mq_needs_command" -f -a "os-env" -d 'Print the environment variables of the broker that are about it, without secrets'
complete -c mq -n "__fish_mq_needs_command" -f -a "tls-versions" -d 'Print the versions of TLS that the broker can speak'
complete -c mq -n "__fish_mq_needs_command" -f -a "cipher-suites" -d 'Print the TLS ciphers that the broker has, by OpenSSL\'s names'
complete -c mq -n "__fish_mq_needs_command" -f -a "certificates" -d 'Print the certificates of the addresses that listen with TLS'
complete -c mq -n "__fish_mq_needs_command" -f -a "message-size-stats" -d 'Count the messages that clients have published by the sizes of their bodies'
complete -c mq -n "__fish_mq_needs_command" -f -a "activate-free-disk-space-monitoring" -d 'Watch the free space of the disk again'
complete -c mq -n "__fish_mq_needs_command" -f -a "deactivate-free-disk-space-monitoring" -d 'Block no publishers for want of free space on the disk, until the broker starts again or gets SIGHUP'
complete -c mq -n "__fish_mq_needs_command" -f -a "enable-auth-attempt-source-tracking" -d 'Count logins by address and user: list-node-auth-attempt-stats --by-source shows them'
complete -c mq -n "__fish_mq_needs_command" -f -a "disable-auth-attempt-source-tracking" -d 'Count logins by address and user no longer, and forget these counts'
complete -c mq -n "__fish_mq_needs_command" -f -a "stop" -d 'Stop the broker as SIGTERM does: it closes its connections, writes everything to disk and ends'
complete -c mq -n "__fish_mq_needs_command" -f -a "shutdown" -d 'Stop the broker, and wait until everything is on disk and it has ended'
complete -c mq -n "__fish_mq_needs_command" -f -a "reset" -d 'Delete all virtual hosts, queues, messages and users of a node that stop-app has stopped: it is as new'
complete -c mq -n "__fish_mq_needs_command" -f -a "force-reset" -d 'Do what reset does: there is no cluster to leave'
complete -c mq -n "__fish_mq_needs_command" -f -a "backup" -d 'Copy the messages and definitions of a running broker to a directory of its machine'
complete -c mq -n "__fish_mq_needs_command" -f -a "quorum-status" -d 'Print the replicas of a quorum queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "peek" -d 'Print the message at a position of a queue and leave it there, as redelivered'
complete -c mq -n "__fish_mq_needs_command" -f -a "stream-status" -d 'Print the replicas of a stream'
complete -c mq -n "__fish_mq_needs_command" -f -a "rebalance" -d 'Spread the leaders of queues over the nodes'
complete -c mq -n "__fish_mq_needs_command" -f -a "reclaim-quorum-memory" -d 'Release memory of a quorum queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "force-checkpoint" -d 'Write checkpoints of quorum queues'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-new-quorum-queue-replicas-have-finished-initial-sync" -d 'Check that no replica of a quorum queue is behind'
complete -c mq -n "__fish_mq_needs_command" -f -a "coordinator-status" -d 'Print the state of the coordinator of streams'
complete -c mq -n "__fish_mq_needs_command" -f -a "restart-stream" -d 'Elect the leader of a stream again'
complete -c mq -n "__fish_mq_using_subcommand serve" -l config -d 'Read this file in the syntax of rabbitmq.conf, and then all *.conf in conf.d beside it; options of the command line come first [env: MQ_CONFIG, RABBITMQ_CONFIG_FILE]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l listen -d 'Listen for AMQP on this address; none listens for AMQP over TLS only; *:5672 means all addresses; may be given several times; port 0 takes a free port, and localhost means both 127.0.0.1 and ::1 [default: localhost:5672]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http -d 'Serve the management API on this address; none turns it off [default: localhost:15672; none if --listen or --tls-listen is given]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l metrics -d 'Serve metrics for Prometheus on this address, below /metrics and without a login; none turns them off [default: localhost:15692; none if --listen or --tls-listen is given]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-listen -d 'Listen for AMQP over TLS on this address, with --tls-cert and --tls-key; with --tls-ca, clients must present a certificate as well. SIGHUP reloads the files' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-verify -d 'Check the certificates of TLS clients against --tls-ca: none asks for no certificate, optional refuses an invalid one, required also refuses a client without one [default: required with --tls-ca, else none]' -r -f -a "none\t''
optional\t''
required\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-versions -d 'Speak these versions of TLS only, for example 1.3 or 1.2,1.3 [default: 1.2,1.3]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-ciphers -d 'Allow these TLS ciphers only, by OpenSSL\'s names with commas between, for example TLS_AES_256_GCM_SHA384 [default: all of TLS 1.3, and of TLS 1.2 those with ECDHE and GCM or ChaCha20]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l data-dir -d 'Store queues and messages in this directory; --local finds the broker by it [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l threads -d 'Serve connections with this many threads [default: one fewer than there are cores, at least one]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l compat -d 'Behave like this release of RabbitMQ; 4.3 also refuses what RabbitMQ 4.3 refuses by default, so that a test run shows what an upgrade breaks [default: like RabbitMQ 4.3.6, but features that it refuses by default still work]' -r -f -a "3.10\t''
4.3\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l definitions -d 'Import the definitions in this file, which RabbitMQ exported, or in all files of this directory, before clients can connect' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l cluster-name -d 'Name the cluster, which one node is too [default: the node\'s name]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l node-name -d 'Give the node this name, for example rabbit@localhost [default: rabbit@ and the machine\'s name]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-vhost -d 'Create this virtual host if the broker is new [default: /]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-user -d 'Create this user in the default virtual host if the broker is new [default: guest]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-pass -d 'Give the default user this password; other programs can see it on the command line, but not in the environment or a file for --config [default: guest]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-user-tags -d 'Give the default user these tags, with commas between, or none [default: administrator]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-configure -d 'Let the default user configure queues and exchanges whose names match this regular expression [default: .*]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-write -d 'Let the default user write to queues and exchanges whose names match this regular expression [default: .*]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-read -d 'Let the default user read from queues and exchanges whose names match this regular expression [default: .*]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l loopback-users -d 'Let these users, with commas between, log in from this machine only, or with none, no user' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-queue-type -d 'Declare queues without a type as this one, in virtual hosts that have no default of their own [default: classic]' -r -f -a "classic\t''
quorum\t''
stream\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l permit-deprecated -d 'Permit or deny a deprecated feature by itself: transient_nonexcl_queues, queue_master_locator or global_qos, such as global_qos=false; may be given several times [default: all are permitted; none with --compat 4.3]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l new-vhosts -d 'Give new virtual hosts users, limits and operator policies: a key of rabbitmq.conf that begins with default_users., default_limits.vhosts. or default_policies.operator., and its value; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l auth-mechanisms -d 'Let clients log in by these SASL mechanisms only, with commas between: PLAIN, AMQPLAIN, ANONYMOUS, and EXTERNAL, by which the TLS certificate of a client names its user and no password is asked for [default: all but EXTERNAL]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l anonymous-user -d 'Take clients that log in by ANONYMOUS for this user; none refuses them [default: guest]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l anonymous-pass -d 'Let them in if that user has this password [default: guest]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l cert-login-from -d 'Take the user of an EXTERNAL login from this part of the certificate [default: distinguished_name]' -r -f -a "distinguished_name\t''
common_name\t''
subject_alternative_name\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l cert-login-san-type -d 'Take the user from alternative names of this kind, with --cert-login-from subject_alternative_name [default: dns]' -r -f -a "dns\t''
email\t''
uri\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l cert-login-san-index -d 'Take the user from the alternative name with this number; the first is 0 [default: 0]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l memory-high-watermark -d 'Block publishers while the process uses more memory than this: a fraction of the machine\'s memory, such as 0.6, or a size, such as 2GiB' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l total-memory -d 'Take this for the machine\'s memory when a limit is a part of it, for example 2GiB [default: the machine\'s, or what its control group is given]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l disk-free-limit -d 'Block publishers while the data directory\'s disk has less free space than this [default: 50MB]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-connections -d 'Accept at most this many connections [default: as many as the limit on file descriptors allows]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-channels -d 'Allow at most this many channels, all connections together [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l channel-max -d 'Allow at most this many channels on a connection; 0 sets no limit [default: 2047]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l consumer-max-per-channel -d 'Allow at most this many consumers on a channel [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-message-size -d 'Refuse messages whose body is larger than this, at most 512MiB [default: 128MiB; 16MiB with --compat 4.3]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l vhost-max -d 'Allow at most this many virtual hosts [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l cluster-queue-limit -d 'Allow at most this many queues, all virtual hosts together [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l cluster-exchange-limit -d 'Allow at most this many exchanges, all virtual hosts together; each has 7 from the start [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l frame-max -d 'Propose frames of at most this size to clients, from 4096 bytes to 16MiB [default: 131072]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l initial-frame-max -d 'Accept frames of at most this size before a client has logged in, from 4096 bytes to 16MiB [default: 8192]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l handshake-timeout -d 'Close a connection that is not open after this time, for example 10s; none waits forever [default: 10s]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-handshake-timeout -d 'Close a TLS connection whose handshake takes longer than this, for example 5s [default: 5s]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l heartbeat -d 'Propose this heartbeat interval to clients, for example 30s; 0s proposes no heartbeats [default: 60s]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l consumer-timeout -d 'Close channels that hold a message unacknowledged for longer than this, for example 30m [default: never]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l https -d 'Serve the management API over TLS on this address, for example 0.0.0.0:15671' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l https-cert -d 'Show this certificate chain to clients of --https, in PEM [default: that of --tls-cert]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l https-key -d 'Use this private key with --https-cert, in PEM [default: that of --tls-key]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l https-ca -d 'Check the certificates of clients of --https against these authorities, in PEM, as --https-verify says' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l https-verify -d 'Check the certificates of clients of --https: none asks for no certificate, optional refuses an invalid one, required also refuses a client without one. A login is asked for in any case [default: none]' -r -f -a "none\t''
optional\t''
required\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-cors-origin -d 'Let pages of this origin call the management API from a browser (CORS), for example https://example.com; * lets all do so; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-cors-max-age -d 'Let browsers remember for this many seconds that a page may call the management API' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-header -d 'Add this header to every answer of the management API, for example \'Referrer-Policy: no-referrer\'; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-failed-logins -d 'Refuse the logins of an address to the management API for the rest of a minute in which this many have failed; 0 refuses none [default: 60]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-path-prefix -d 'Serve the management API below this path, for example /rabbitmq' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-output -d 'Write the log to stderr or stdout, or with none, to the file of --log-file only [default: stderr; stdout with --as-rabbitmq-server]' -r -f -a "stderr\t''
stdout\t''
none\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-format -d 'Write the log in this format; json writes one object per line, startup errors included' -r -f -a "text\t''
json\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-level -d 'Log messages of this level and of more severe ones [default: the level in RUST_LOG, else info; error with --quiet]' -r -f -a "none\t''
error\t''
warning\t''
info\t''
debug\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-level-file -d 'Read the level from this file, at startup and again on each SIGHUP' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-file -d 'Write the log to this file too; SIGHUP opens it anew, after another program has moved it away' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-file-level -d 'Write messages of this level and of more severe ones to the file [default: as on the console]' -r -f -a "none\t''
error\t''
warning\t''
info\t''
debug\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-category -d 'Log messages of this category at a level of its own: connection, channel or queue, such as connection=debug; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l print-config -d 'Print the value of every key of the configuration and where it comes from, and start no broker'
complete -c mq -n "__fish_mq_using_subcommand serve" -l as-rabbitmq-server -d 'Run in the place of rabbitmq-server: AMQP, the management API and metrics are on all addresses by default, data in RABBITMQ_MNESIA_BASE or /var/lib/rabbitmq, the configuration in /etc/rabbitmq, and the log goes to stdout with RabbitMQ\'s words'
complete -c mq -n "__fish_mq_using_subcommand serve" -l memory -d 'Store nothing on disk: everything is lost when the broker stops'
complete -c mq -n "__fish_mq_using_subcommand serve" -l skip-unchanged-definitions -d 'Import no definitions that are those of the last start, so that later changes stay'
complete -c mq -n "__fish_mq_using_subcommand serve" -l print-url -d 'Print the AMQP URL, then the management URL and the URL of the metrics, one per line'
complete -c mq -n "__fish_mq_using_subcommand serve" -l proxy-protocol -d 'Take clients of AMQP from a proxy that says first where they are from, by version 1 or 2 of the PROXY protocol; no others are accepted'
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-disable-stats -d 'Leave statistics out of the answers of the management API; Prometheus still has them'
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-queue-totals -d 'Tell the lengths of queues also with --http-disable-stats'
complete -c mq -n "__fish_mq_using_subcommand serve" -l per-object-metrics -d 'Tell at /metrics of each queue, connection and channel, not of their sums'
complete -c mq -n "__fish_mq_using_subcommand serve" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand run" -l definitions -d 'Import the definitions in this file, which RabbitMQ exported, before the program starts' -r -F
complete -c mq -n "__fish_mq_using_subcommand run" -l compat -d 'Behave like this release of RabbitMQ; 4.3 also refuses what RabbitMQ 4.3 refuses by default' -r -f -a "3.10\t''
4.3\t''"
complete -c mq -n "__fish_mq_using_subcommand run" -l fail-on -d 'Fail if messages were left in queues, published to no queue, dead-lettered, or delivered and never acknowledged' -r -f -a "unacked\t'Delivered, and not acknowledged when the channel or connection ended'
unroutable\t'Published, and no queue was bound for it'
dead-lettered\t'Rejected, expired or too many for a queue that has a dead letter exchange'
left\t'Still in a queue at the end; streams do not count'"
complete -c mq -n "__fish_mq_using_subcommand run" -l keep -d 'Store queues and messages in this directory, which stays' -r -F
complete -c mq -n "__fish_mq_using_subcommand run" -l listen -d 'Listen for AMQP on this address [default: a free port of 127.0.0.1]' -r
complete -c mq -n "__fish_mq_using_subcommand run" -l http -d 'Serve the management API on this address [default: a free port of 127.0.0.1]' -r
complete -c mq -n "__fish_mq_using_subcommand run" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand run" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand run" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand run" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand run" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand run" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand run" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand run" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand run" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand run" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand run" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand publish" -s e -l exchange -d 'Publish to this exchange [default: the default exchange, which routes to the queue named by the routing key]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l type -d 'Declare the exchange first, with this type: direct, fanout, topic, headers or another' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s k -l routing-key -d 'Publish with this routing key' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l queue -d 'Publish to this queue; it is declared if it does not exist' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l queue-type -d 'Declare the queue with this type if it does not exist [default: the virtual host\'s default type]' -r -f -a "classic\t''
quorum\t''
stream\t''"
complete -c mq -n "__fish_mq_using_subcommand publish" -l declare -d 'Declare the queue or exchange if it does not exist: durable, transient (like a client that does not set durable), or no [default: durable; for rpc-call no]' -r -f -a "durable\t'Declare it durable: it survives a restart of the broker'
transient\t'Declare it transient: it is deleted when the broker restarts'
no\t'Declare nothing'"
complete -c mq -n "__fish_mq_using_subcommand publish" -s f -l file -d 'Take the body from this file; may be given several times' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -s n -l count -d 'Publish every message this many times [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l rate -d 'Publish no faster than this, for example 100/s [default: as fast as the broker confirms]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l cc -d 'Also route the message by this key, which receivers see in the header CC; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l bcc -d 'Also route the message by this key, which receivers do not see (BCC); may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l delay -d 'Delay the message by this time in an exchange of type x-delayed-message, for example 5m (x-delay)' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l filter-value -d 'Set the message\'s filter value for streams, for example eu (x-stream-filter-value)' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s H -l header -d 'Add a header, as NAME=VALUE or NAME:TYPE=VALUE (str, int, float, bool, time, bytes, json)' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s C -l content-type -d 'Set the body\'s content type, for example application/json' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l content-encoding -d 'Set the body\'s content encoding, for example gzip' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l correlation-id -d 'Set the correlation id, which a reply repeats' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l reply-to -d 'Set the queue to which a reply is sent' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l priority -d 'Set the priority, 0 to 255; queues with priorities deliver higher ones first' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l expiration -d 'Drop or dead-letter the message if it waits in a queue this long, for example 30s' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l message-id -d 'Set the message id' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l timestamp -d 'Set the timestamp, as seconds since 1970 or a date such as 2026-11-22T16:00:00Z' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l message-type -d 'Set the type of the message' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l user-id -d 'Set the user id; the broker refuses the message if it is not the connection\'s user' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l app-id -d 'Set the id of the application that made the message' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand publish" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand publish" -s l -l lines -d 'Publish each line as a message'
complete -c mq -n "__fish_mq_using_subcommand publish" -l jsonl -d 'Publish each line as a message; a line is a JSON object as `mq consume -o jsonl` prints it'
complete -c mq -n "__fish_mq_using_subcommand publish" -l mandatory -d 'Exit with code 1 if a message reaches no queue'
complete -c mq -n "__fish_mq_using_subcommand publish" -l transient -d 'Publish the message as transient: it is lost when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand publish" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand publish" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand consume" -l queue -d 'Consume from this queue; it is declared if it does not exist' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l declare -d 'Declare the queue or exchange if it does not exist: durable, transient (like a client that does not set durable), or no [default: durable; for rpc-call no]' -r -f -a "durable\t'Declare it durable: it survives a restart of the broker'
transient\t'Declare it transient: it is deleted when the broker restarts'
no\t'Declare nothing'"
complete -c mq -n "__fish_mq_using_subcommand consume" -s e -l exchange -d 'Consume the messages that are published to this exchange from now on, through a queue that is deleted at the end' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l type -d 'Declare the exchange first, with this type: direct, fanout, topic, headers or another' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s k -l key -d 'Bind with this routing key or pattern; may be given several times [default: # for topic, else empty]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s H -l header -d 'Bind with this header, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l match -d 'Match messages that have all headers, or any of them (x-match)' -r -f -a "all\t''
any\t''
all-with-x\t''
any-with-x\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l queue-type -d 'Declare the queue with this type if it does not exist [default: the virtual host\'s default type; stream with --offset or --filter]' -r -f -a "classic\t''
quorum\t''
stream\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l priority -d 'Consume with this priority: consumers with a higher one get messages first, up to their prefetch; may be negative (x-priority)' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l offset -d 'Start at this offset of a stream: first, last, next, a number, a time such as 2026-11-22T16:00:00Z, or an age such as 1h (x-stream-offset) [default: next]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l filter -d 'Consume only messages with this filter value from a stream; may be given several times (x-stream-filter)' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s n -l count -d 'Stop after this many messages [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l idle-timeout -d 'Stop if no message arrives for this time, for example 5s [default: never]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l prefetch -d 'Hold at most this many unacknowledged messages [default: 100; with --exec the number of --jobs]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l ack -d 'Acknowledge each message after it is handled (manual), or have the broker drop it as soon as it is sent (auto)' -r -f -a "manual\t''
auto\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l template -d 'Print each message in this form, for example \'{routing_key}: {body}\'' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l save-dir -d 'Save each body as a file in this directory, and its properties in a file beside it' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l exec -d 'Run this shell command for each message, with the body on its stdin and the properties in MQ_* variables' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s j -l jobs -d 'Run at most this many commands at a time [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l on-failure -d 'Requeue or reject a message if its command fails; exit code 75 always tries again, 65 always rejects' -r -f -a "requeue\t'Try again after a growing pause; if mq ends first, the message returns to the queue'
reject\t'Drop the message, or dead-letter it if the queue has a dead-letter exchange'"
complete -c mq -n "__fish_mq_using_subcommand consume" -l max-attempts -d 'Reject a message if its command has failed this many times, at most 40 [default: no limit, with pauses of 0.5 to 30 s]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand consume" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand consume" -l exclusive -d 'Be the queue\'s only consumer'
complete -c mq -n "__fish_mq_using_subcommand consume" -l match-unfiltered -d 'Also consume messages without a filter value (x-stream-match-unfiltered)'
complete -c mq -n "__fish_mq_using_subcommand consume" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand consume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand get" -l queue -d 'Take the message from this queue' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l template -d 'Print the message in this form, for example \'{routing_key}: {body}\'' -r
complete -c mq -n "__fish_mq_using_subcommand get" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand get" -l peek -d 'Return the message to its place in the queue after printing it'
complete -c mq -n "__fish_mq_using_subcommand get" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l queue -d 'Send requests to this queue' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s e -l exchange -d 'Send requests through this exchange instead of a queue' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s k -l routing-key -d 'Send requests with this routing key' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s j -l jobs -d 'Wait for at most this many replies at a time [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l declare -d 'Declare the queue or exchange if it does not exist: durable, transient (like a client that does not set durable), or no [default: durable; for rpc-call no]' -r -f -a "durable\t'Declare it durable: it survives a restart of the broker'
transient\t'Declare it transient: it is deleted when the broker restarts'
no\t'Declare nothing'"
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s H -l header -d 'Add a header, as NAME=VALUE or NAME:TYPE=VALUE (str, int, float, bool, time, bytes, json)' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s C -l content-type -d 'Set the body\'s content type, for example application/json' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l content-encoding -d 'Set the body\'s content encoding, for example gzip' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l correlation-id -d 'Set the correlation id, which a reply repeats' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l reply-to -d 'Set the queue to which a reply is sent' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l priority -d 'Set the priority, 0 to 255; queues with priorities deliver higher ones first' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l expiration -d 'Drop or dead-letter the message if it waits in a queue this long, for example 30s' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l message-id -d 'Set the message id' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l timestamp -d 'Set the timestamp, as seconds since 1970 or a date such as 2026-11-22T16:00:00Z' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l message-type -d 'Set the type of the message' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l user-id -d 'Set the user id; the broker refuses the message if it is not the connection\'s user' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l app-id -d 'Set the id of the application that made the message' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s l -l lines -d 'Send each line of stdin as a request'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l reply-queue -d 'Receive replies in an exclusive queue rather than through the broker\'s direct reply-to'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l transient -d 'Publish the message as transient: it is lost when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l queue -d 'Answer the requests in this queue; it is declared if it does not exist' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l declare -d 'Declare the queue or exchange if it does not exist: durable, transient (like a client that does not set durable), or no [default: durable; for rpc-call no]' -r -f -a "durable\t'Declare it durable: it survives a restart of the broker'
transient\t'Declare it transient: it is deleted when the broker restarts'
no\t'Declare nothing'"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l exec -d 'Run this shell command for each request: it reads the body from stdin and writes the reply to stdout' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l coprocess -d 'Start this shell command once: it reads each request as a line of stdin and writes each reply as a line of stdout' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l builtin -d 'Answer with a built-in function: a Fibonacci number, the request itself, or its text in capitals' -r -f -a "fib\t''
echo\t''
upper\t''"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s n -l count -d 'Stop after this many requests [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s j -l jobs -d 'Run at most this many commands at a time with --exec [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l on-failure -d 'Requeue or reject a message if its command fails; exit code 75 always tries again, 65 always rejects' -r -f -a "requeue\t'Try again after a growing pause; if mq ends first, the message returns to the queue'
reject\t'Drop the message, or dead-letter it if the queue has a dead-letter exchange'"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l max-attempts -d 'Reject a message if its command has failed this many times, at most 40 [default: no limit, with pauses of 0.5 to 30 s]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l no-declare -d 'Do not declare the queue or the exchange (--declare no)'
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l type -d 'Declare this type: direct, fanout, headers, topic, x-consistent-hash, x-delayed-message, x-local-random, x-modulus-hash, x-random, x-recent-history, or another that the broker has [default: the type that another option belongs to, else direct]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l alternate-exchange -d 'Send messages that match no binding to this exchange (alternate-exchange)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l delayed-type -d 'Delay each message by its header x-delay, then route it like this type (x-delayed-type)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l hash-header -d 'Choose the queue by the hash of this header rather than of the routing key (hash-header)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l hash-property -d 'Choose the queue by the hash of this property rather than of the routing key (hash-property)' -r -f -a "correlation_id\t''
message_id\t''
timestamp\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l history-length -d 'Send each newly bound queue this many of the last messages (x-recent-history-length)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l argument -d 'Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l transient -d 'Delete the exchange when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l auto-delete -d 'Delete the exchange when its last binding is removed'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l internal -d 'Accept messages from other exchanges only'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l ttl -d 'Drop or dead-letter messages that have waited this long, for example 30s (x-message-ttl)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l expires -d 'Delete the queue if it is unused for this long, for example 30m (x-expires)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-length -d 'Keep at most this many messages (x-max-length)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-length-bytes -d 'Keep at most this many bytes of bodies, for example 64MiB (x-max-length-bytes)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l overflow -d 'Drop the oldest message if the queue is full, or refuse new ones (x-overflow) [default: drop-head]' -r -f -a "drop-head\t''
reject-publish\t''
reject-publish-dlx\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l dead-letter-exchange -d 'Send dropped and rejected messages to this exchange (x-dead-letter-exchange)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l dead-letter-routing-key -d 'Dead-letter messages with this routing key (x-dead-letter-routing-key) [default: their own]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l dead-letter-strategy -d 'Dead-letter messages of a quorum queue with this guarantee (x-dead-letter-strategy) [default: at-most-once]' -r -f -a "at-most-once\t''
at-least-once\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l delivery-limit -d 'Drop or dead-letter a message that was returned more often than this; -1 means no limit (x-delivery-limit)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l consumer-timeout -d 'Cancel a consumer or close its channel if it holds a message unacknowledged for longer than this (x-consumer-timeout)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l queue-type -d 'Declare this type of queue (x-queue-type) [default: the virtual host\'s default type]' -r -f -a "classic\t''
quorum\t''
stream\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-priority -d 'Deliver messages by priority, 0 to this number (x-max-priority)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l queue-mode -d 'Set the mode of a classic queue; lazy keeps messages on disk rather than in memory (x-queue-mode)' -r -f -a "default\t''
lazy\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l queue-version -d 'Set the version of a classic queue\'s storage, 1 or 2 (x-queue-version)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l leader-locator -d 'Choose the node that leads the queue by this rule (x-queue-leader-locator)' -r -f -a "client-local\t''
balanced\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l quorum-initial-group-size -d 'Replicate a new quorum queue on this many nodes (x-quorum-initial-group-size)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l initial-cluster-size -d 'Replicate a new stream on this many nodes (x-initial-cluster-size)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l max-age -d 'Keep a stream\'s messages this long, for example 7D or 12h (x-max-age)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l segment-size -d 'Limit a stream\'s files to this size, for example 500MB; retention drops whole files (x-stream-max-segment-size-bytes)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l filter-size -d 'Set the bytes of filter data per file of a stream, 16 to 255 (x-stream-filter-size-bytes)' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l argument -d 'Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l transient -d 'Delete the queue when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l auto-delete -d 'Delete the queue when its last consumer is cancelled'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l single-active-consumer -d 'Deliver to one consumer at a time; the others wait (x-single-active-consumer)'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l lazy -d 'Keep messages on disk rather than in memory; the same as --queue-mode lazy'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand bind" -s e -l exchange -d 'The exchange from which messages come' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l queue -d 'The queue to which messages go' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l to-exchange -d 'The exchange to which messages go, instead of a queue' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s k -l key -d 'The routing key or pattern; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s H -l header -d 'A header that messages must have, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l match -d 'Match messages that have all headers, or any of them; only the values with -with-x compare headers whose name begins with x- (x-match) [default: all]' -r -f -a "all\t''
any\t''
all-with-x\t''
any-with-x\t''"
complete -c mq -n "__fish_mq_using_subcommand bind" -l weight -d 'The share of messages for this binding of a consistent-hash exchange, for example 2; it is sent as the routing key' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand bind" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand bind" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand unbind" -s e -l exchange -d 'The exchange from which messages come' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l queue -d 'The queue to which messages go' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l to-exchange -d 'The exchange to which messages go, instead of a queue' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s k -l key -d 'The routing key or pattern; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s H -l header -d 'A header that messages must have, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l match -d 'Match messages that have all headers, or any of them; only the values with -with-x compare headers whose name begins with x- (x-match) [default: all]' -r -f -a "all\t''
any\t''
all-with-x\t''
any-with-x\t''"
complete -c mq -n "__fish_mq_using_subcommand unbind" -l weight -d 'The share of messages for this binding of a consistent-hash exchange, for example 2; it is sent as the routing key' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand unbind" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand unbind" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand route" -s e -l exchange -d 'The exchange that the message would be published to [default: the default exchange]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s k -l key -d 'The message\'s routing key' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s H -l header -d 'A header of the message, as NAME=VALUE or NAME:TYPE=VALUE; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand route" -l all -d 'Show every binding that does not match, not only the nearest'
complete -c mq -n "__fish_mq_using_subcommand route" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand route" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l if-unused -d 'Delete only if nothing is bound to the exchange'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s y -l yes -d 'Do not ask for confirmation; required if there is no terminal to ask on'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l if-empty -d 'Delete only if the queue has no messages'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l if-unused -d 'Delete only if the queue has no consumers'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s y -l yes -d 'Do not ask for confirmation; required if there is no terminal to ask on'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s y -l yes -d 'Do not ask for confirmation; required if there is no terminal to ask on'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand status" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -f -a "check" -d 'Check that a data directory is undamaged, and list what is stored in it'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -f -a "repair" -d 'Repair damage that a broker must not repair by itself when it starts'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restore" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restore" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand restore" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restore" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand restore" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restore" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand restore" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restore" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand restore" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand restore" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restore" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand ping" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand ping" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand ping" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand wait" -l for -d 'Wait for this: ready; queue=Q (it exists); exchange=E; empty=Q (no message is ready or unacknowledged); messages=Q:N (at least N are ready); consumers=Q:N (at least N; 1 if left out). May be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand wait" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand smoke" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand smoke" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand smoke" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand smoke" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand smoke" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand smoke" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand smoke" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand smoke" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand smoke" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand smoke" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand smoke" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand smoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand expect" -l queue -d 'Expect this queue' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -s e -l exchange -d 'Expect this exchange; with --queue, expect a binding from it to the queue' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -s k -l key -d 'Expect the binding to have this routing key' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l messages -d 'Expect so many ready messages: 3, \'>=3\', \'<=3\', \'>3\' or \'<3\'' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l consumers -d 'Expect so many consumers, in the same form' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l body -d 'Expect a message with this body' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l body-contains -d 'Expect a message whose body contains this' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l look-at -d 'Look at this many ready messages at most' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l within -d 'Try again until this time has passed, for example 5s [default: one look]' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l report -d 'Write the report in this form [default: lines for people, JSON with -o json]' -r -f -a "tap\t'The Test Anything Protocol'
junit\t'The XML that CI servers read'"
complete -c mq -n "__fish_mq_using_subcommand expect" -s H -l header -d 'Add a header, as NAME=VALUE or NAME:TYPE=VALUE (str, int, float, bool, time, bytes, json)' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -s C -l content-type -d 'Set the body\'s content type, for example application/json' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l content-encoding -d 'Set the body\'s content encoding, for example gzip' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l correlation-id -d 'Set the correlation id, which a reply repeats' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l reply-to -d 'Set the queue to which a reply is sent' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l priority -d 'Set the priority, 0 to 255; queues with priorities deliver higher ones first' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l expiration -d 'Drop or dead-letter the message if it waits in a queue this long, for example 30s' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l message-id -d 'Set the message id' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l timestamp -d 'Set the timestamp, as seconds since 1970 or a date such as 2026-11-22T16:00:00Z' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l message-type -d 'Set the type of the message' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l user-id -d 'Set the user id; the broker refuses the message if it is not the connection\'s user' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l app-id -d 'Set the id of the application that made the message' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand expect" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand expect" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand expect" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand expect" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand expect" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand expect" -l transient -d 'Publish the message as transient: it is lost when the broker restarts'
complete -c mq -n "__fish_mq_using_subcommand expect" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand expect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand bench" -s x -l publishers -d 'Publish on this many connections [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s y -l consumers -d 'Consume on this many connections; 0 only publishes [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l queues -d 'Use this many queues, distributed among publishers and consumers [default: 1]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s s -l size -d 'Publish bodies of this size, for example 1KiB [default: 1KiB]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s z -l duration -d 'Measure for this long, for example 10s or 5m [default: 10s, or until --count is reached]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l warmup -d 'Load the broker for this long before measuring [default: 1s, or 0s with --count]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s n -l count -d 'Publish this many messages in all, and end after they are delivered' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s c -l confirm -d 'Publish with confirms, at most this many unconfirmed per publisher [default: without confirms]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s a -l ack -d 'Acknowledge once per this many deliveries [default: automatic acknowledgement]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l prefetch -d 'Let each consumer hold at most this many unacknowledged messages [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s r -l rate -d 'Publish at this rate, all publishers together, for example 3000/s [default: as fast as possible]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l max-backlog -d 'Pause publishers while this many messages are in the broker; 0 means no limit [default: 50000, or 0 with --rate]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s t -l exchange-type -d 'Publish to an exchange of this type [default: to the default exchange]' -r -f -a "direct\t''
fanout\t''
topic\t''
headers\t''"
complete -c mq -n "__fish_mq_using_subcommand bench" -l bindings -d 'Bind this many routing keys; each message has one of them [default: one per queue]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l argument -d 'Declare queues with this argument, for example x-queue-type=quorum; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l fail-if -d 'Exit with code 1 if this condition holds, for example \'p99>20ms\' or \'publish-rate<100k\'; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l against -d 'Also measure the broker at this address, in turns with the first, and compare' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l rounds -d 'Measure each broker this many times [default: 3]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand bench" -l durable -d 'Make the exchange durable, as the queues always are'
complete -c mq -n "__fish_mq_using_subcommand bench" -s p -l persistent -d 'Make messages persistent, and the exchange durable'
complete -c mq -n "__fish_mq_using_subcommand bench" -l verify -d 'Check that every message arrives once, in its publisher\'s order and unchanged; exit with code 1 if not'
complete -c mq -n "__fish_mq_using_subcommand bench" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l step -d 'Wait for Enter after each step'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l check -d 'Print only the result of each check, to test a broker'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -f -a "add" -d 'Add a context for the broker that --url names'
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -f -a "list" -d 'List the contexts; passwords are not shown'
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -f -a "use" -d 'Use a context if nothing else names a broker'
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -f -a "show" -d 'Show a context; its password is not shown'
complete -c mq -n "__fish_mq_using_subcommand context; and not __fish_seen_subcommand_from add list use show remove" -f -a "remove" -d 'Remove contexts, with their stored passwords'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l password-command -d 'Run this shell command for the password, which is the first line it prints, for example \'pass show mq\'' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l password-env -d 'Take the password from this environment variable' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l no-password -d 'Store no password and do not ask for one'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l use -d 'Use the context from now on, like `mq context use`'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -l replace -d 'Replace the context if there is one with this name'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -l none -d 'Use none'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from use" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask for confirmation; required if there is no terminal to ask on'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand context; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand install-links" -l program -d 'Let the links lead to this program [default: this one]' -r -F
complete -c mq -n "__fish_mq_using_subcommand install-links" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand install-links" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand install-links" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand install-links" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand install-links" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand install-links" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand install-links" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand install-links" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand install-links" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand install-links" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand install-links" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand install-links" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand completions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand completions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand man" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand man" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand help" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or --context is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -l context -d 'Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in .mq.toml, else the one that `mq context use` chose]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand help" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-user" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-user" -l pre-hashed-password -d 'Take the password as the hash that `mq hash-password` prints'
complete -c mq -n "__fish_mq_using_subcommand add-user" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-user" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand change-password" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand change-password" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand change-password" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-users" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-users" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-users" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-users" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l user -d 'List the limits of this user only' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l global -d 'List the limits of all users (the default)'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l hashing-algorithm -d 'Hash with sha256 (the default) or sha512' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s d -l description -d 'Describe it with this text' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l tags -d 'Give it these tags, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l default-queue-type -d 'Make queues of this type if a client names none: classic, quorum or stream' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s d -l description -d 'Describe it with this text' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l tags -d 'Give it these tags, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l default-queue-type -d 'Make queues of this type if a client names none: classic, quorum or stream' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l protected-from-deletion -d 'Protect it from deletion (true) or no longer (false)' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l global -d 'List the limits of all virtual hosts'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l priority -d 'Let it win over policies of lower priority [default: 0]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l apply-to -d 'Apply it to queues, exchanges, classic_queues, quorum_queues, streams or all [default: all]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l object-type -d 'Match them with a queue (the default), exchange, quorum_queue, classic_queue or stream' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l priority -d 'Let it win over policies of lower priority [default: 0]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l apply-to -d 'Apply it to queues, exchanges, classic_queues, quorum_queues, streams or all [default: all]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l only-vhost -d 'Export the definitions of the virtual host only'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l only-vhost -d 'Import them into the virtual host only'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l limit -d 'Close so many connections at most' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l per-connection-delay -d 'Pause so many milliseconds after each' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l global -d 'Close the connections to all virtual hosts'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l opt-in -d 'Enable it although it is experimental'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l experimental -d 'The older name of --opt-in'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l used -d 'List those that are in use only'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand alarms" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand alarms" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand alarms" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-running" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-running" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-running" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand is-running" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand is-running" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand is-running" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s a -l address -d 'Connect to this host [default: each listener\'s]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l within -d 'Within so many units [default: 4]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l unit -d 'Count in days, weeks, months or years [default: weeks]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l across-all-vhosts -d 'Check those of all virtual hosts'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand server-version" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand server-version" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand server-version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand version" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand version" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand version" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand version" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand listeners" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand listeners" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand listeners" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand environment" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand environment" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand environment" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l unit -d 'Print it in bytes, kb, mb or gb [default: as fits]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand report" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand report" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand report" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand report" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l by-source -d 'List them for each address and user'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l all -d 'Forget those of all nodes'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l queue-timeout -d 'Wait so long for each' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l force -d 'Accepted for RabbitMQ\'s sake'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand drain" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand drain" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand drain" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand drain" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand revive" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand revive" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand revive" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand revive" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand revive" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand suspend-listeners" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand suspend-listeners" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand suspend-listeners" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand suspend-listeners" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand suspend-listeners" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand resume-listeners" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand resume-listeners" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand resume-listeners" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand resume-listeners" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand resume-listeners" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand stop-app" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand stop-app" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand stop-app" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand stop-app" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand stop-app" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand start-app" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand start-app" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand start-app" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand start-app" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand start-app" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-disk-free-limit" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-disk-free-limit" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-disk-free-limit" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-disk-free-limit" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-disk-free-limit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-vm-memory-high-watermark" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vm-memory-high-watermark" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vm-memory-high-watermark" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-vm-memory-high-watermark" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-vm-memory-high-watermark" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-log-level" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-log-level" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-log-level" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-log-level" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-log-level" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand log-location" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand log-location" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand log-location" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand log-location" -s a -l all -d 'Print all places, not just the first'
complete -c mq -n "__fish_mq_using_subcommand log-location" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand log-location" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand log-tail" -s N -l number -d 'Print so many lines [default: 50]' -r
complete -c mq -n "__fish_mq_using_subcommand log-tail" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand log-tail" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand log-tail" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand log-tail" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand log-tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand log-tail-stream" -s d -l duration -d 'End after so many seconds [default: until Ctrl-C]' -r
complete -c mq -n "__fish_mq_using_subcommand log-tail-stream" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand log-tail-stream" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand log-tail-stream" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand log-tail-stream" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand log-tail-stream" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand command-line-arguments" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand command-line-arguments" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand command-line-arguments" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand command-line-arguments" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand command-line-arguments" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand os-env" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand os-env" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand os-env" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand os-env" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand os-env" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand tls-versions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand tls-versions" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand tls-versions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand tls-versions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand tls-versions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand cipher-suites" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand cipher-suites" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand cipher-suites" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand cipher-suites" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand cipher-suites" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand certificates" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand certificates" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand certificates" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand certificates" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand certificates" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand message-size-stats" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand message-size-stats" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand message-size-stats" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand message-size-stats" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand message-size-stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand activate-free-disk-space-monitoring" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand activate-free-disk-space-monitoring" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand activate-free-disk-space-monitoring" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand activate-free-disk-space-monitoring" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand activate-free-disk-space-monitoring" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand deactivate-free-disk-space-monitoring" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand deactivate-free-disk-space-monitoring" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand deactivate-free-disk-space-monitoring" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand deactivate-free-disk-space-monitoring" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand deactivate-free-disk-space-monitoring" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand enable-auth-attempt-source-tracking" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-auth-attempt-source-tracking" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-auth-attempt-source-tracking" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand enable-auth-attempt-source-tracking" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand enable-auth-attempt-source-tracking" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand disable-auth-attempt-source-tracking" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-auth-attempt-source-tracking" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-auth-attempt-source-tracking" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand disable-auth-attempt-source-tracking" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand disable-auth-attempt-source-tracking" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand stop" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand stop" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand stop" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand stop" -l idempotent -d 'Succeed if no broker answers'
complete -c mq -n "__fish_mq_using_subcommand stop" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand shutdown" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand shutdown" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand shutdown" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand shutdown" -l wait -d 'Wait, as it does anyway'
complete -c mq -n "__fish_mq_using_subcommand shutdown" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand shutdown" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reset" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reset" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reset" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reset" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand force-reset" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand force-reset" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand force-reset" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand force-reset" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand force-reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand backup" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand backup" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand backup" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand backup" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand peek" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand peek" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand peek" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l vhost-pattern -d 'In virtual hosts with such names' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l queue-pattern -d 'Of queues with such names' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l errors-only -d 'Print errors only'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l preferred-leader-node -d 'Prefer this node' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l vhost -d 'Work in this virtual host [default: the one of the context or in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s h -l help -d 'Print help (see more with \'--help\')'
