%% The supervisor of the work "restart after a crash": what it is started with is its specification.
-module(versus_sup).
-behaviour(supervisor).
-export([init/1]).

init(Spec) -> {ok, Spec}.
