# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mq_global_optspecs
    string join \n u/url= http-url= local= vhost= timeout= tls-ca= tls-cert= tls-key= o/format= q/quiet p= n/node= t= s/silent no-table-headers h/help V/version
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
complete -c mq -n "__fish_mq_needs_command" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_needs_command" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_needs_command" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_needs_command" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_needs_command" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_needs_command" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_needs_command" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_needs_command" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_needs_command" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_needs_command" -s V -l version -d 'Print version'
complete -c mq -n "__fish_mq_needs_command" -f -a "serve" -d 'Run a broker until Ctrl-C or SIGTERM'
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
complete -c mq -n "__fish_mq_needs_command" -f -a "reset-node-auth-attempt-metrics" -d 'WordCount logins from zero again'
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
complete -c mq -n "__fish_mq_needs_command" -f -a "quorum-status" -d 'Print the replicas of a quorum queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "peek" -d 'Print the message at a position of a queue and leave it there, as redelivered'
complete -c mq -n "__fish_mq_needs_command" -f -a "stream-status" -d 'Print the replicas of a stream'
complete -c mq -n "__fish_mq_needs_command" -f -a "rebalance" -d 'Spread the leaders of queues over the nodes'
complete -c mq -n "__fish_mq_needs_command" -f -a "reclaim-quorum-memory" -d 'Release memory of a quorum queue'
complete -c mq -n "__fish_mq_needs_command" -f -a "force-checkpoint" -d 'Write checkpoints of quorum queues'
complete -c mq -n "__fish_mq_needs_command" -f -a "check-if-new-quorum-queue-replicas-have-finished-initial-sync" -d 'Check that no replica of a quorum queue is behind'
complete -c mq -n "__fish_mq_needs_command" -f -a "coordinator-status" -d 'Print the state of the coordinator of streams'
complete -c mq -n "__fish_mq_needs_command" -f -a "restart-stream" -d 'Elect the leader of a stream again'
complete -c mq -n "__fish_mq_needs_command" -f -a "autocomplete" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "decode" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "encode" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "decrypt-conf-value" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "encrypt-conf-value" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-ciphers" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-hashes" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "eval" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "eval-file" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "exec" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "force-gc" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "force-boot" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "force-standalone-khepri-boot" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "forget-cluster-node" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "join-cluster" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "rename-cluster-node" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "update-cluster-nodes" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "discover-peers" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "set-channel-interceptor-priorities" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "erlang-cookie-hash" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "erlang-cookie-sources" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "erlang-version" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "maybe-stuck" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "observer" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "remote-shell" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "resolve-hostname" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "resolver-info" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "runtime-thread-stats" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "directories" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "add-member" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-member" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "grow" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "grow-to-count" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "shrink" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "transfer-leadership" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "add-replica" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-replica" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "clear-auth-backend-cache" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "add-signing-key" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "add-uaa-key" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-mqtt-connections" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-web-mqtt-connections" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-stomp-connections" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "activate-stream-consumer" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "add-super-stream" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "delete-super-stream" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-stream-consumer-groups" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-stream-group-consumers" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-stream-tracking" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "reset-offset" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "list-trust-store-certificates" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "refresh-trust-store" -d 'Not in mq: it needs Erlang, a cluster or a plugin that mq does not have'
complete -c mq -n "__fish_mq_needs_command" -f -a "status" -d 'Show the broker\'s version and its connections, queues and messages'
complete -c mq -n "__fish_mq_needs_command" -f -a "store" -d 'Check or repair the data directory of a broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "ping" -d 'Measure how long the broker takes to reply'
complete -c mq -n "__fish_mq_needs_command" -f -a "wait" -d 'Wait until the broker answers, at most --timeout [default: 30s]'
complete -c mq -n "__fish_mq_needs_command" -f -a "bench" -d 'Measure a broker: rates, latencies and lost messages'
complete -c mq -n "__fish_mq_needs_command" -f -a "tutorial" -d 'Run RabbitMQ\'s tutorials as lessons on a live broker'
complete -c mq -n "__fish_mq_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c mq -n "__fish_mq_needs_command" -f -a "man" -d 'Print the manual page of mq or of a command'
complete -c mq -n "__fish_mq_needs_command" -f -a "help" -d 'Print the help of mq or of a command'
complete -c mq -n "__fish_mq_using_subcommand serve" -l config -d 'Read this file in the syntax of rabbitmq.conf, and then all *.conf in conf.d beside it; options of the command line come first [env: MQ_CONFIG, RABBITMQ_CONFIG_FILE]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l listen -d 'Listen for AMQP on this address; may be given several times; port 0 takes a free port, and localhost means both 127.0.0.1 and ::1 [default: localhost:5672]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http -d 'Serve the management API on this address [default: localhost:15672; none if --listen or --tls-listen is given]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l metrics -d 'Serve metrics for Prometheus on this address, below /metrics and without a login; none turns them off [default: localhost:15692; none if --listen or --tls-listen is given]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-listen -d 'Listen for AMQP over TLS on this address, with --tls-cert and --tls-key; with --tls-ca, clients must present a certificate as well. SIGHUP reloads the files' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l tls-verify -d 'Check the certificates of TLS clients against --tls-ca: none asks for no certificate, optional refuses an invalid one, required also refuses a client without one [default: required with --tls-ca, else none]' -r -f -a "none\t''
optional\t''
required\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l data-dir -d 'Store queues and messages in this directory; --local finds the broker by it [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l threads -d 'Serve connections with this many threads [default: one fewer than there are cores, at least one]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l compat -d 'Behave like this release of RabbitMQ; 4.3 also refuses what RabbitMQ 4.3 refuses by default, so that a test run shows what an upgrade breaks [default: like RabbitMQ 4.3.6, but features that it refuses by default still work]' -r -f -a "3.10\t''
4.3\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l definitions -d 'Import the definitions in this file, which RabbitMQ exported, before clients can connect' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l node-name -d 'Give the node this name, for example rabbit@localhost [default: mq@ and the machine\'s name]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-vhost -d 'Create this virtual host if the broker is new [default: /]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-user -d 'Create this user, an administrator with all permissions in the default virtual host, if the broker is new [default: guest]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l default-pass -d 'Give the default user this password; other programs can see it on the command line, but not in the environment or a file for --config [default: guest]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l loopback-users -d 'Let only the user guest log in solely from this machine, or with none, no user' -r -f -a "guest\t''
none\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l memory-high-watermark -d 'Block publishers while the process uses more memory than this: a fraction of the machine\'s memory, such as 0.6, or a size, such as 2GiB' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l disk-free-limit -d 'Block publishers while the data directory\'s disk has less free space than this [default: 50MB]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-connections -d 'Accept at most this many connections [default: as many as the limit on file descriptors allows]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-channels -d 'Allow at most this many channels, all connections together [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l consumer-max-per-channel -d 'Allow at most this many consumers on a channel [default: no limit]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l max-message-size -d 'Refuse messages whose body is larger than this, at most 512MiB [default: 128MiB; 16MiB with --compat 4.3]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l heartbeat -d 'Propose this heartbeat interval to clients, for example 30s; 0s proposes no heartbeats [default: 60s]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l consumer-timeout -d 'Close channels that hold a message unacknowledged for longer than this, for example 30m [default: never]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-format -d 'Write the log to stderr in this format; json writes one object per line, startup errors included' -r -f -a "text\t''
json\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-level -d 'Log messages of this level and of more severe ones [default: the level in RUST_LOG, else info; error with --quiet]' -r -f -a "none\t''
error\t''
warning\t''
info\t''
debug\t''"
complete -c mq -n "__fish_mq_using_subcommand serve" -l log-level-file -d 'Read the level from this file, at startup and again on each SIGHUP' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand serve" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand serve" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand serve" -l memory -d 'Store nothing on disk: everything is lost when the broker stops'
complete -c mq -n "__fish_mq_using_subcommand serve" -l print-url -d 'Print the AMQP URL, then the management URL and the URL of the metrics, one per line'
complete -c mq -n "__fish_mq_using_subcommand serve" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand serve" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand serve" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
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
complete -c mq -n "__fish_mq_using_subcommand publish" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand publish" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand publish" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand publish" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand publish" -l no-table-headers -d 'Print lists without their header line'
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
complete -c mq -n "__fish_mq_using_subcommand consume" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand consume" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand consume" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand consume" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand consume" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand consume" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand consume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand get" -l queue -d 'Take the message from this queue' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l template -d 'Print the message in this form, for example \'{routing_key}: {body}\'' -r
complete -c mq -n "__fish_mq_using_subcommand get" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand get" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand get" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand get" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand get" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand get" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand get" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand get" -l no-table-headers -d 'Print lists without their header line'
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
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand rpc-call" -l no-table-headers -d 'Print lists without their header line'
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
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand rpc-serve" -l no-table-headers -d 'Print lists without their header line'
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
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand declare-exchange" -l no-table-headers -d 'Print lists without their header line'
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
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand declare-queue" -l no-table-headers -d 'Print lists without their header line'
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
complete -c mq -n "__fish_mq_using_subcommand bind" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand bind" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bind" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand bind" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand bind" -l no-table-headers -d 'Print lists without their header line'
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
complete -c mq -n "__fish_mq_using_subcommand unbind" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand unbind" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand unbind" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand unbind" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand unbind" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand unbind" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand unbind" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand route" -s e -l exchange -d 'The exchange that the message would be published to [default: the default exchange]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s k -l key -d 'The message\'s routing key' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s H -l header -d 'A header of the message, as NAME=VALUE or NAME:TYPE=VALUE; may be given several times' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand route" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand route" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand route" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand route" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand route" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand route" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand route" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-exchange" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-queue" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand purge-queue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-queues" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-queues" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-exchanges" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-bindings" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-consumers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-connections" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channels" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-channels" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-vhosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-user" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-user" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand add-user" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-user" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-user" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-user" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-user" -l pre-hashed-password -d 'Take the password as the hash that `mq hash-password` prints'
complete -c mq -n "__fish_mq_using_subcommand add-user" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand add-user" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand add-user" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-user" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand change-password" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand change-password" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand change-password" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand change-password" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand change-password" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand change-password" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand change-password" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand change-password" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand change-password" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand change-password" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand authenticate-user" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-user-tags" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-users" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-users" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-users" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-users" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-users" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-users" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-users" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-users" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-users" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-users" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-user-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l user -d 'List the limits of this user only' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l global -d 'List the limits of all users (the default)'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-user-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-user-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-password" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-password" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l hashing-algorithm -d 'Hash with sha256 (the default) or sha512' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand hash-password" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand hash-password" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-user" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-user" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-permissions-globally" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-user-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-user-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-topic-permissions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s d -l description -d 'Describe it with this text' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l tags -d 'Give it these tags, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l default-queue-type -d 'Make queues of this type if a client names none: classic, quorum or stream' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-vhost" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s d -l description -d 'Describe it with this text' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l tags -d 'Give it these tags, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l default-queue-type -d 'Make queues of this type if a client names none: classic, quorum or stream' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l protected-from-deletion -d 'Protect it from deletion (true) or no longer (false)' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand update-vhost-metadata" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-tags" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand enable-vhost-deletion-protection" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand disable-vhost-deletion-protection" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand trace-on" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand trace-on" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand trace-off" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand trace-off" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-vhost-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l global -d 'List the limits of all virtual hosts'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-vhost-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-vhost-limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-vhost" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reconcile-vhosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-vhost" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l priority -d 'Let it win over policies of lower priority [default: 0]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l apply-to -d 'Apply it to queues, exchanges, classic_queues, quorum_queues, streams or all [default: all]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-policy" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-policies" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-policies" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l object-type -d 'Match them with a queue (the default), exchange, quorum_queue, classic_queue or stream' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-policies-that-match" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l priority -d 'Let it win over policies of lower priority [default: 0]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l apply-to -d 'Apply it to queues, exchanges, classic_queues, quorum_queues, streams or all [default: all]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-operator-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-operator-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-policies-with-classic-queue-mirroring" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-operator-policies-with-classic-queue-mirroring" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-cluster-has-classic-queue-mirroring-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand remove-classic-queue-mirroring-from-policies" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-parameters" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-global-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-global-parameters" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-global-parameter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l only-vhost -d 'Export the definitions of the virtual host only'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand export-definitions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l only-vhost -d 'Import them into the virtual host only'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand import-definitions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand close-connection" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand close-connection" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l limit -d 'Close so many connections at most' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l per-connection-delay -d 'Pause so many milliseconds after each' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l global -d 'Close the connections to all virtual hosts'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand close-all-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand close-all-user-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-feature-flags" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l opt-in -d 'Enable it although it is experimental'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l experimental -d 'The older name of --opt-in'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand enable-feature-flag" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l used -d 'List those that are in use only'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-deprecated-features" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-any-deprecated-features-are-used" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand is-plugin-enabled" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand enable-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand disable-plugins" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand alarms" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand alarms" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand alarms" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand alarms" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand alarms" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand alarms" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand alarms" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand alarms" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand alarms" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand alarms" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-alarms" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-local-alarms" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-running" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-running" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-running" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-running" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-running" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-running" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-running" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-running" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-running" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-running" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand is-running" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-running" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand is-running" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-running" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-running" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-running" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand is-running" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand is-running" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand is-running" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand is-running" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand is-booting" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand is-booting" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-virtual-hosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-port-listener" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-protocol-listener" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s a -l address -d 'Connect to this host [default: each listener\'s]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-port-connectivity" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l within -d 'Within so many units [default: 4]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l unit -d 'WordCount in days, weeks, months or years [default: weeks]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-certificate-expiration" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand node-health-check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-quorum-critical" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-node-is-mirror-sync-critical" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l across-all-vhosts -d 'Check those of all virtual hosts'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-for-quorum-queues-without-an-elected-leader" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-metadata-store-is-initialized-with-data" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand has-reached-target-cluster-size" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand await-online-quorum-plus-one" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand server-version" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand server-version" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand server-version" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand server-version" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand server-version" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand server-version" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand server-version" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand server-version" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand server-version" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand server-version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand version" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand version" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand version" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand version" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand version" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand version" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand version" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand version" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand version" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand version" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand version" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand version" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand version" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand version" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand version" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-cluster-name" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand cluster-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand await-online-nodes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand listeners" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand listeners" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand listeners" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand listeners" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand listeners" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand listeners" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand listeners" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand listeners" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand listeners" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand listeners" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand environment" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand environment" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand environment" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand environment" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand environment" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand environment" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand environment" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand environment" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand environment" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand environment" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l unit -d 'Print it in bytes, kb, mb or gb [default: as fits]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand memory-breakdown" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand report" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand report" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand report" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand report" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand report" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand report" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand report" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand report" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand report" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand report" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand report" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand report" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand report" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand report" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand report" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l by-source -d 'List them for each address and user'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-node-auth-attempt-stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reset-node-auth-attempt-metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l all -d 'Forget those of all nodes'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reset-stats-db" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l queue-timeout -d 'Wait so long for each' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-unresponsive-queues" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-channel-interceptors" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand rotate-logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand metadata-store-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand post-upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand federation-status" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand federation-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-federation-link" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l columns -d 'Show these columns, separated by commas' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l sort -d 'Sort by this column; -COLUMN reverses the order' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l filter -d 'Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l watch -d 'Print the list again at this interval until Ctrl-C, for example 1s' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -l no-headers -d 'Leave out the header line of tsv and csv'
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand shovel-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-shovel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l force -d 'Accepted for RabbitMQ\'s sake'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-shovel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand quorum-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand peek" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand peek" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand peek" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand peek" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand peek" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand peek" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand peek" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand peek" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand peek" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand peek" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand stream-status" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand stream-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand rebalance" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand rebalance" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reclaim-quorum-memory" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l vhost-pattern -d 'In virtual hosts with such names' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l queue-pattern -d 'Of queues with such names' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l errors-only -d 'Print errors only'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand force-checkpoint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand check-if-new-quorum-queue-replicas-have-finished-initial-sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand coordinator-status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l preferred-leader-node -d 'Prefer this node' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand restart-stream" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand autocomplete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand decode" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand decode" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand decode" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand decode" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand decode" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand decode" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand decode" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand decode" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand decode" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand decode" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand decode" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand decode" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand decode" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand decode" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand decode" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand decode" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand encode" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand encode" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand encode" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand encode" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand encode" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand encode" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand encode" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand encode" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand encode" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand encode" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand encode" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand encode" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand encode" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand encode" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand encode" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand encode" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand decrypt-conf-value" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand encrypt-conf-value" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-ciphers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-hashes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand eval" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand eval" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand eval" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand eval" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand eval" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand eval" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand eval" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand eval" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand eval" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand eval" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand eval" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand eval" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand eval-file" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand eval-file" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand exec" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand exec" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand exec" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand exec" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand exec" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand exec" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand exec" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand exec" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand exec" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand exec" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand exec" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand exec" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand exec" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand exec" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand exec" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand force-gc" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand force-gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand force-boot" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand force-boot" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand force-standalone-khepri-boot" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand forget-cluster-node" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand join-cluster" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand rename-cluster-node" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand update-cluster-nodes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand discover-peers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand set-channel-interceptor-priorities" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-hash" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand erlang-cookie-sources" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand erlang-version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand maybe-stuck" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand observer" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand observer" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand observer" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand observer" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand observer" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand observer" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand observer" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand observer" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand observer" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand observer" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand observer" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand observer" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand observer" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand observer" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand observer" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand observer" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand remote-shell" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand resolve-hostname" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand resolver-info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand runtime-thread-stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand directories" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand directories" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand directories" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand directories" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand directories" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand directories" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand directories" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand directories" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand directories" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand directories" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand directories" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand directories" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand directories" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand directories" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand directories" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand directories" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-member" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand add-member" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand add-member" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand add-member" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-member" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand add-member" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-member" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-member" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand add-member" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-member" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-member" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-member" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-member" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand add-member" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand add-member" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-member" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-member" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-member" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand grow" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand grow" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand grow" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand grow" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand grow" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand grow" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand grow" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand grow" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand grow" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand grow" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand grow" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand grow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand grow-to-count" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand shrink" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand shrink" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand shrink" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand shrink" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand shrink" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand shrink" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand shrink" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand shrink" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand shrink" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand shrink" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand shrink" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand shrink" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand shrink" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand shrink" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand shrink" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand shrink" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand transfer-leadership" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand add-replica" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-replica" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-replica" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand clear-auth-backend-cache" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-signing-key" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-uaa-key" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-mqtt-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-web-mqtt-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-stomp-connections" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand activate-stream-consumer" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand add-super-stream" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand delete-super-stream" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-stream-consumer-groups" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-stream-group-consumers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-stream-tracking" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand reset-offset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand list-trust-store-certificates" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l timeout -d 'Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for a reply]' -r
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l tls-ca -d 'Trust the certificates in this PEM file [default: the system\'s]' -r -F
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l tls-cert -d 'Present the certificate in this PEM file to the broker, or serve with it' -r -F
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l tls-key -d 'Use the key in this PEM file for the certificate' -r -F
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s o -l format -d 'Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]' -r -f -a "table\t''
json\t''
jsonl\t''
csv\t''
tsv\t''
raw\t''"
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand refresh-trust-store" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand status" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand status" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand status" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand status" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand status" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand status" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand status" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand status" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand status" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand status" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -f -a "check" -d 'Check that a data directory is undamaged, and list what is stored in it'
complete -c mq -n "__fish_mq_using_subcommand store; and not __fish_seen_subcommand_from check repair" -f -a "repair" -d 'Repair damage that a broker must not repair by itself when it starts'
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from check" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand store; and __fish_seen_subcommand_from repair" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand ping" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand ping" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand ping" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand ping" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand ping" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand ping" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand ping" -s h -l help -d 'Print help'
complete -c mq -n "__fish_mq_using_subcommand wait" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand wait" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand wait" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand wait" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand wait" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand wait" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
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
complete -c mq -n "__fish_mq_using_subcommand bench" -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand bench" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand bench" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand bench" -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand bench" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand bench" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand tutorial" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand completions" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand completions" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand completions" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand completions" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand completions" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand completions" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand man" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand man" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand man" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand man" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand man" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand man" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand man" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand man" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand man" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mq -n "__fish_mq_using_subcommand help" -s p -d 'Work in this virtual host, as --vhost' -r
complete -c mq -n "__fish_mq_using_subcommand help" -s n -l node -d 'Accepted and ignored: --url names the broker' -r
complete -c mq -n "__fish_mq_using_subcommand help" -s t -d 'Wait so many seconds for each reply, as --timeout' -r
complete -c mq -n "__fish_mq_using_subcommand help" -s u -l url -d 'Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL] [default: amqp://guest:guest@localhost:5672/]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l http-url -d 'Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url is given] [default: the address that the broker announces, else port 15672 of the same host]' -r
complete -c mq -n "__fish_mq_using_subcommand help" -l local -d 'Work with the broker of a data directory on this machine: join it, or run it until the command ends [env: MQ_LOCAL]' -r -F
complete -c mq -n "__fish_mq_using_subcommand help" -l vhost -d 'Work in this virtual host [default: the one in the URL, else /]' -r
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
complete -c mq -n "__fish_mq_using_subcommand help" -s s -l silent -d 'Print the rows and errors only'
complete -c mq -n "__fish_mq_using_subcommand help" -l no-table-headers -d 'Print lists without their header line'
complete -c mq -n "__fish_mq_using_subcommand help" -s q -l quiet -d 'Print only the result and errors'
complete -c mq -n "__fish_mq_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
