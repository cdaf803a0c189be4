#!/usr/bin/env escript
%% Writes golden_wire.txt: what RabbitMQ's own encoder makes of every method, property and field type.
%%
%%   ERL_LIBS=/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/plugins \
%%       escript golden.escript amqp_0_9_1.txt > golden_wire.txt
%%
%% Each method comes twice: with every kind of value, and with empty strings and the other bits set.
%% The second column is the value as Rust's Debug prints ours, so that both sides can be compared as text.
-mode(compile).

main([Facts]) ->
    {ok, Text} = file:read_file(Facts),
    Lines = [string:lexemes(L, " ") || L <- string:split(Text, "\n", all)],
    io:format("# Encoded by RabbitMQ 3.10.8; written by golden.escript, which explains it.~n"),
    [method(L, Round) || [<<"method">> | _] = L <- Lines, Round <- [1, 2]],
    Properties = [{N, T} || [<<"property">>, N, T] <- Lines],
    properties("none", Properties, fun(_) -> false end),
    properties("all", Properties, fun(_) -> true end),
    [properties(binary_to_list(N), Properties, fun(P) -> P =:= N end) || {N, _} <- Properties],
    [field(Erlang, Rust) || {Erlang, Rust} <- fields()].

method([_, Name, Class, Id | Fields], Round) ->
    [C, M] = string:split(Name, "."),
    Record = list_to_atom(unicode:characters_to_list([C, $., string:replace(M, "-", "_", all)])),
    {Values, Shown} = lists:unzip([begin
        [N, T] = string:split(F, ":"),
        {Value, Rust} = value(T, Round, N, I),
        {Value, [rust(N), ": ", Rust]}
    end || {I, F} <- lists:enumerate(Fields)]),
    Struct = camel(M),
    Debug = case Shown of
        [] -> Struct;
        _ -> [Struct, " { ", lists:join(", ", Shown), " }"]
    end,
    Encoded = rabbit_framing_amqp_0_9_1:encode_method_fields(list_to_tuple([Record | Values])),
    Bytes = iolist_to_binary([<<(binary_to_integer(Class)):16, (binary_to_integer(Id)):16>>, Encoded]),
    line("method " ++ binary_to_list(Name), [camel(C), Struct, "(", Debug, ")"], Bytes).

properties(Which, All, Has) ->
    {Values, Shown} = lists:unzip([case Has(N) of
        true ->
            {Value, Rust} = value(T, 1, N, I),
            {Value, [rust(N), ": Some(", Rust, ")"]};
        false -> {undefined, [rust(N), ": None"]}
    end || {I, {N, T}} <- lists:enumerate(All)]),
    Bytes = rabbit_framing_amqp_0_9_1:encode_properties(list_to_tuple(['P_basic' | Values])),
    line("properties " ++ Which, ["Properties { ", lists:join(", ", Shown), " }"], iolist_to_binary(Bytes)).

field({Type, _} = Value, Rust) ->
    {T, V} = Value,
    Bytes = rabbit_binary_generator:generate_table([{<<"k">>, T, V}]),
    Table = iolist_to_binary(Bytes),
    line("table " ++ atom_to_list(Type), ["FieldTable([(\"k\", ", Rust, ")])"],
         <<(byte_size(Table)):32, Table/binary>>).

fields() ->
    [{{bool, true}, "Bool(true)"},
     {{bool, false}, "Bool(false)"},
     {{byte, -128}, "I8(-128)"},
     {{unsignedbyte, 255}, "U8(255)"},
     {{short, -32768}, "I16(-32768)"},
     {{unsignedshort, 65535}, "U16(65535)"},
     {{signedint, -2147483648}, "I32(-2147483648)"},
     {{unsignedint, 4294967295}, "U32(4294967295)"},
     {{long, -9223372036854775808}, "I64(-9223372036854775808)"},
     {{float, 1.5}, "F32(1.5)"},
     {{double, -2.25}, "F64(-2.25)"},
     {{decimal, {2, 12345}}, "Decimal { scale: 2, value: 12345 }"},
     {{longstr, <<"text">>}, "LongStr(\"text\")"},
     {{binary, <<"bytes">>}, "Bytes(\"bytes\")"},
     {{timestamp, 1700000000}, "Timestamp(1700000000)"},
     {{void, undefined}, "Void"},
     {{array, []}, "Array([])"},
     {{array, [{signedint, 1}, {array, [{void, undefined}]}, {table, [{<<"a">>, bool, true}]}]},
      "Array([I32(1), Array([Void]), Table(FieldTable([(\"a\", Bool(true))]))])"},
     {{table, []}, "Table(FieldTable([]))"},
     {{table, [{<<"a">>, longstr, <<>>}, {<<"a">>, signedint, 2}, {<<>>, table, [{<<"b">>, void, undefined}]}]},
      "Table(FieldTable([(\"a\", LongStr(\"\")), (\"a\", I32(2)), (\"\", Table(FieldTable([(\"b\", Void)])))]))"}].

value(<<"bit">>, Round, _, I) -> B = (I + Round) rem 2 =:= 0, {B, atom_to_list(B)};
value(<<"octet">>, R, _, I) -> number(16#70 * R + I);
value(<<"short">>, R, _, I) -> number(16#7100 * R + I);
value(<<"long">>, R, _, I) -> number(16#71020300 * R + I);
value(<<"longlong">>, R, _, I) -> number(16#7102030405060700 * R + I);
value(<<"timestamp">>, R, _, I) -> number(16#0102030405060700 * R + I);
value(<<"table">>, 1, N, _) ->
    {[{N, longstr, <<"value">>}, {<<"n">>, signedint, -7}],
     ["FieldTable([(\"", N, "\", LongStr(\"value\")), (\"n\", I32(-7))])"]};
value(<<"table">>, 2, _, _) -> {[], "FieldTable([])"};
value(_String, 1, N, _) -> {N, ["\"", N, "\""]};
value(_String, 2, _, _) -> {<<>>, "\"\""}.

number(N) -> {N, integer_to_list(N)}.

rust(<<"type">>) -> "kind";
rust(Name) -> string:replace(Name, "-", "_", all).

camel(Name) -> [[string:titlecase(W)] || W <- string:split(Name, "-", all)].

line(What, Debug, Bytes) ->
    io:format("~ts | ~ts | ~s~n", [What, Debug, string:lowercase(binary:encode_hex(Bytes))]).
