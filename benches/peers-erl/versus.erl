%% The works of versus in Erlang/OTP: a counter is a gen_server, asked by call and told by cast;
%% links and nodes are plain processes. Mailboxes are unbounded.
%%
%% Usage: erl -noshell -run versus main WORK OPERATIONS. Prints a JSON row per figure, as versus
%% does, or nothing when there is no such work here.
-module(versus).
-behaviour(gen_server).
-export([main/1, init/1, start_link/0, handle_call/3, handle_cast/2]).

main([Work, Text]) ->
    logger:set_primary_config(level, none),
    Ops = list_to_integer(Text),
    case timed(Work) of
        none -> readings(Work, Ops);
        Run ->
            Run(max(Ops div 8, 1)),
            row(Work, "ns", Run(Ops) / Ops)
    end,
    halt(0).

timed("ask") -> fun(N) -> ask_many(N, 1, 1) end;
timed("ask, 8 askers, 1 actor") -> fun(N) -> ask_many(N, 8, 1) end;
timed("ask, 1,000 askers, 1 actor") -> fun(N) -> ask_many(N, 1000, 1) end;
timed("ask, 64 pairs") -> fun(N) -> ask_many(N, 64, 64) end;
timed("tell, 1 producer") -> fun(N) -> tell(N, 1) end;
timed("tell, 4 producers") -> fun(N) -> tell(N, 4) end;
timed("tell, 16 producers") -> fun(N) -> tell(N, 16) end;
timed("ping-pong, one hop") -> fun(N) -> rings(N, 1, 2) end;
timed("64 ping-pongs, one hop") -> fun(N) -> rings(N, 64, 2) end;
timed("ring of 503, one hop") -> fun(N) -> rings(N, 1, 503) end;
timed("fan-out to 16, fan-in, per item") -> fun(N) -> fan_out(N, 16) end;
timed("spawn, one ask, end") -> fun spawns/1;
timed("skynet, per leaf") -> fun skynet/1;
timed("skynet of tasks, per leaf") -> fun skynet/1;
timed("restart after a crash") -> fun restarts/1;
timed("ask with 1 KiB inline") -> fun pages/1;
timed("spawn task and join") -> fun spawn_tasks/1;
timed(_) -> none.

readings("worst gap, no load" = Work, _) -> gaps(Work, 0);
readings("worst gap, a task per core computes 1 s" = Work, _) ->
    gaps(Work, erlang:system_info(schedulers));
readings("100,000 sleepers, lateness" = Work, Ops) -> sleepers(Work, Ops);
readings("idle actor, never spoken to" = Work, Ops) ->
    idle(Work, Ops, fun counter/1);
readings("idle actor, after one ask" = Work, Ops) ->
    idle(Work, Ops, fun(I) -> C = counter(I), I = gen_server:call(C, {add, 0}), C end);
readings("idle task, asleep for an hour" = Work, Ops) ->
    idle(Work, Ops, fun(_) -> spawn(fun() -> timer:sleep(3600000) end) end);
readings(_, _) -> none.

%% The counter.

init(Sum) -> {ok, Sum}.

counter(Sum) ->
    {ok, Counter} = gen_server:start(?MODULE, Sum, []),
    Counter.

start_link() -> gen_server:start_link({local, counter}, ?MODULE, 0, []).

handle_call({add, N}, _, Sum) -> {reply, Sum + N, Sum + N};
handle_call({page, Page}, _, Sum) -> {reply, binary:first(Page) + binary:last(Page), Sum}.

handle_cast({note, N}, Sum) -> {noreply, Sum + N};
handle_cast(crash, _) -> exit(crash_on_purpose);
handle_cast(stop, Sum) -> {stop, normal, Sum}.

%% Starts the tasks and waits for their ends.
together(Tasks) ->
    All = [spawn_monitor(Task) || Task <- Tasks],
    [receive {'DOWN', Monitor, process, _, Reason} -> normal = Reason end || {_, Monitor} <- All],
    ok.

clock(Run) ->
    Start = erlang:monotonic_time(nanosecond),
    Run(),
    erlang:monotonic_time(nanosecond) - Start.

share(Ops, Tasks, Task) when Task < Ops rem Tasks -> Ops div Tasks + 1;
share(Ops, Tasks, _) -> Ops div Tasks.

repeat(0, _) -> ok;
repeat(N, Do) -> Do(), repeat(N - 1, Do).

ask_many(Ops, Askers, Actors) ->
    Counters = list_to_tuple([counter(0) || _ <- lists:seq(1, Actors)]),
    Asker = fun(Task) ->
        Counter = element(Task rem Actors + 1, Counters),
        fun() -> ask(share(Ops, Askers, Task), Counter, 0) end
    end,
    Took = clock(fun() -> together([Asker(T) || T <- lists:seq(0, Askers - 1)]) end),
    Ops = lists:sum([gen_server:call(C, {add, 0}) || C <- tuple_to_list(Counters)]),
    [gen_server:stop(C) || C <- tuple_to_list(Counters)],
    Took.

ask(0, _, _) -> ok;
ask(N, Counter, Last) ->
    Sum = gen_server:call(Counter, {add, 1}),
    true = Sum > Last,
    ask(N - 1, Counter, Sum).

tell(Ops, Producers) ->
    Counter = counter(0),
    Producer = fun(Task) ->
        fun() ->
            repeat(share(Ops, Producers, Task), fun() -> gen_server:cast(Counter, {note, 1}) end)
        end
    end,
    Took = clock(fun() ->
        together([Producer(T) || T <- lists:seq(0, Producers - 1)]),
        Ops = gen_server:call(Counter, {add, 0}, infinity)
    end),
    gen_server:stop(Counter),
    Took.

%% The link.

link_loop(Next, Zeros, Done) ->
    receive
        {next, Pid} -> link_loop(Pid, Zeros, Done);
        stop -> ok;
        0 when Zeros =:= 1 -> Done ! done, link_loop(Next, 0, Done);
        0 -> link_loop(Next, Zeros - 1, Done);
        Left -> Next ! Left - 1, link_loop(Next, Zeros, Done)
    end.

link_to(Next, Zeros) ->
    Done = self(),
    spawn(fun() -> link_loop(Next, Zeros, Done) end).

ring(Links) ->
    First = link_to(none, 1),
    Last = lists:foldl(fun(_, Next) -> link_to(Next, 1) end, First, lists:seq(2, Links)),
    First ! {next, Last},
    First.

rings(Ops, Rings, Links) ->
    All = [{R, ring(Links)} || R <- lists:seq(0, Rings - 1)],
    clock(fun() ->
        [First ! share(Ops, Rings, R) - 1 || {R, First} <- All],
        repeat(Rings, fun() -> receive done -> ok end end)
    end).

fan_out(Ops, Width) ->
    Last = link_to(none, Ops),
    Links = list_to_tuple([link_to(Last, 0) || _ <- lists:seq(1, Width)]),
    clock(fun() ->
        [element(I rem Width + 1, Links) ! 1 || I <- lists:seq(1, Ops)],
        receive done -> ok end
    end).

spawns(Ops) ->
    Before = erlang:system_info(process_count),
    clock(fun() ->
        spawns_loop(Ops),
        wait_for(fun() -> erlang:system_info(process_count) =< Before end)
    end).

spawns_loop(0) -> ok;
spawns_loop(N) ->
    Counter = counter(N),
    Sum = N + 1,
    Sum = gen_server:call(Counter, {add, 1}),
    gen_server:cast(Counter, stop),
    spawns_loop(N - 1).

spawn_tasks(Ops) ->
    clock(fun() ->
        repeat(Ops, fun() ->
            {_, Monitor} = spawn_monitor(fun() -> exit({answer, 7}) end),
            receive {'DOWN', Monitor, process, _, {answer, 7}} -> ok end
        end)
    end).

wait_for(Holds) ->
    case Holds() of
        true -> ok;
        false -> erlang:yield(), wait_for(Holds)
    end.

grow(Above, Num, 1) -> Above ! {total, Num};
grow(Above, Num, Leaves) ->
    This = self(),
    Below = Leaves div 10,
    [spawn(fun() -> grow(This, Num + I * Below, Below) end) || I <- lists:seq(0, 9)],
    Above ! {total, lists:sum([receive {total, T} -> T end || _ <- lists:seq(0, 9)])}.

skynet(Ops) ->
    Leaves = full(1, Ops),
    clock(fun() ->
        Root = self(),
        spawn(fun() -> grow(Root, 0, Leaves) end),
        Sum = Leaves * (Leaves - 1) div 2,
        receive {total, Total} -> Sum = Total end
    end).

full(N, Max) when N * 10 =< Max -> full(N * 10, Max);
full(N, _) -> N.

%% A child of a supervisor crashes and is asked when it runs again.
restarts(Ops) ->
    {ok, Supervisor} = supervisor_of_counter(Ops),
    Took = clock(fun() -> repeat(Ops, fun restart/0) end),
    unlink(Supervisor),
    exit(Supervisor, kill),
    wait_for(fun() -> whereis(counter) =:= undefined end),
    Took.

supervisor_of_counter(Ops) ->
    Flags = #{strategy => one_for_one, intensity => Ops + 1, period => 1},
    Child = #{id => counter, start => {?MODULE, start_link, []}},
    supervisor:start_link(versus_sup, {Flags, [Child]}).

restart() ->
    Old = whereis(counter),
    2 = gen_server:call(counter, {add, 2}),
    gen_server:cast(counter, crash),
    wait_for(fun() -> New = whereis(counter), New =/= undefined andalso New =/= Old end),
    0 = gen_server:call(counter, {add, 0}).

pages(Ops) ->
    Counter = counter(0),
    clock(fun() ->
        repeat(Ops, fun() ->
            207 = gen_server:call(Counter, {page, <<7, 0:(1022 * 8), 200>>})
        end)
    end).

%% Gaps and sleepers.

gaps(Work, Offenders) ->
    Counter = counter(0),
    Until = erlang:monotonic_time(nanosecond) + 1400000000,
    Self = self(),
    Step = fun(Do, Name) ->
        spawn_link(fun() -> Self ! {Name, gap_loop(Do, Until, erlang:monotonic_time(nanosecond), 0)} end)
    end,
    Step(fun() -> gen_server:call(Counter, {add, 1}), 0 end, asker),
    Step(fun() -> timer:sleep(1), 1000000 end, ticker),
    timer:sleep(200),
    End = erlang:monotonic_time(nanosecond) + 1000000000,
    [spawn(fun() -> wait_busily(End) end) || _ <- lists:seq(1, Offenders)],
    row(Work ++ ", asker", "ms", receive {asker, A} -> A / 1.0e6 end),
    row(Work ++ ", 1 ms ticker", "ms", receive {ticker, T} -> T / 1.0e6 end).

gap_loop(Do, Until, Last, Worst) ->
    Expected = Do(),
    Now = erlang:monotonic_time(nanosecond),
    Gap = max(Worst, Now - Last - Expected),
    if
        Now > Until -> Gap;
        true -> gap_loop(Do, Until, Now, Gap)
    end.

wait_busily(End) ->
    case erlang:monotonic_time(nanosecond) < End of
        true -> wait_busily(End);
        false -> ok
    end.

sleepers(Work, Ops) ->
    Self = self(),
    Sleeper = fun(I) ->
        fun() ->
            Ms = 200 + I * 7919 div 1000 rem 1000,
            Due = erlang:monotonic_time(nanosecond) + Ms * 1000000,
            timer:sleep(Ms),
            Self ! {late, erlang:monotonic_time(nanosecond) - Due}
        end
    end,
    [spawn(Sleeper(I)) || I <- lists:seq(0, Ops - 1)],
    Late = lists:sort([receive {late, L} -> L end || _ <- lists:seq(1, Ops)]),
    true = hd(Late) >= 0,
    Quantile = fun(Q) -> lists:nth(1 + round((Ops - 1) * Q), Late) / 1.0e6 end,
    row(Work ++ ", p50", "ms", Quantile(0.5)),
    row(Work ++ ", p99", "ms", Quantile(0.99)).

idle(Work, Ops, Start) ->
    Before = erlang:memory(total),
    Pids = [Start(I) || I <- lists:seq(0, Ops - 1)],
    timer:sleep(500),
    row(Work, "bytes", (erlang:memory(total) - Before) / Ops - 16), % a list's cell
    timer:sleep(500),
    {_, _} = statistics(runtime),
    timer:sleep(1000),
    {_, Ms} = statistics(runtime),
    row(Work ++ ", CPU per second of all", "ms", Ms),
    true = is_process_alive(hd(Pids)).

row(Work, Unit, Value) ->
    io:format("{\"work\":\"~s\",\"peer\":\"Erlang\",\"~s\":~w,\"note\":\"\"}~n", [Work, Unit, Value]).
