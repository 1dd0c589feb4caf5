using System;
using System.Runtime.InteropServices;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Os;

namespace Kmem.Tests.Unit;

/// <summary>The calls that can fail, as a mask.</summary>
[Flags]
internal enum OsCalls
{
    Reserve = 1,
    Commit = 2,
    Purge = 4,
    Protect = 8,
    All = Reserve | Commit | Purge | Protect,
}

/// <summary>
/// The real operating system behind a table that fails where it is told to: the n-th call, or all from the n-th on. It counts what it
/// is asked, keeps a balance of what is reserved, and has a clock that a test may set.
/// </summary>
internal sealed unsafe class FailingOs : IDisposable
{
    private readonly State* _state;

    public FailingOs()
    {
        _state = (State*)NativeMemory.AllocZeroed((nuint)sizeof(State));
        Face.SelectOs(&_state->Real);
        _state->Table = new OsTable
        {
            Context = _state,
            Reserve = &Reserve,
            Commit = &Commit,
            Purge = &Purge,
            Protect = &Protect,
            Release = &Release,
            NowMilliseconds = &NowMilliseconds,
        };
        FailNothing();
    }

    /// <summary>What a zone is made with.</summary>
    public OsTable* Table => &_state->Table;

    /// <summary>Calls so far that were in the mask.</summary>
    public long Calls => Volatile.Read(ref _state->Calls);

    /// <summary>Calls that were made to fail.</summary>
    public long Failures => Volatile.Read(ref _state->Failures);

    /// <summary>Purges that were carried out.</summary>
    public long Purges => Volatile.Read(ref _state->Purges);

    /// <summary>Bytes reserved and not released.</summary>
    public long ReservedBytes => Volatile.Read(ref _state->ReservedBytes);

    /// <summary>The clock; null for the real one.</summary>
    public long? Now
    {
        set => Volatile.Write(ref _state->Now, value ?? -1);
    }

    /// <summary>Counts anew and lets so many calls from this number on fail.</summary>
    public void FailAt(long call, OsCalls mask = OsCalls.All, long count = 1)
    {
        _state->Calls = 0;
        _state->Failures = 0;
        _state->Mask = (int)mask;
        _state->FailFrom = call;
        _state->FailCount = count;
    }

    public void FailAllFrom(long call, OsCalls mask = OsCalls.All) => FailAt(call, mask, long.MaxValue / 2);

    public void FailNothing()
    {
        FailAt(0, OsCalls.All, 0);
        _state->Now = _state->Now == 0 ? -1 : _state->Now;
    }

    public void Dispose() => NativeMemory.Free(_state);

    private static bool Fails(void* context, OsCalls call)
    {
        State* state = (State*)context;
        if ((state->Mask & (int)call) == 0)
        {
            return false;
        }

        long number = Interlocked.Increment(ref state->Calls) - 1;
        if (number < state->FailFrom || number >= state->FailFrom + state->FailCount)
        {
            return false;
        }

        Interlocked.Increment(ref state->Failures);
        return true;
    }

    private static void* Reserve(void* context, nuint bytes, nuint alignment)
    {
        State* state = (State*)context;
        void* result = Fails(context, OsCalls.Reserve) ? null : state->Real.Reserve(state->Real.Context, bytes, alignment);
        Interlocked.Add(ref state->ReservedBytes, result == null ? 0 : (long)bytes);
        return result;
    }

    private static bool Commit(void* context, void* address, nuint bytes)
    {
        State* state = (State*)context;
        return !Fails(context, OsCalls.Commit) && state->Real.Commit(state->Real.Context, address, bytes);
    }

    private static bool Purge(void* context, void* address, nuint bytes)
    {
        State* state = (State*)context;
        if (Fails(context, OsCalls.Purge) || !state->Real.Purge(state->Real.Context, address, bytes))
        {
            return false;
        }

        Interlocked.Increment(ref state->Purges);
        return true;
    }

    private static bool Protect(void* context, void* address, nuint bytes, bool accessible)
    {
        State* state = (State*)context;
        return !Fails(context, OsCalls.Protect) && state->Real.Protect(state->Real.Context, address, bytes, accessible);
    }

    private static void Release(void* context, void* address, nuint bytes)
    {
        State* state = (State*)context;
        Interlocked.Add(ref state->ReservedBytes, -(long)bytes);
        state->Real.Release(state->Real.Context, address, bytes);
    }

    private static long NowMilliseconds(void* context)
    {
        State* state = (State*)context;
        long now = Volatile.Read(ref state->Now);
        return now >= 0 ? now : state->Real.NowMilliseconds(state->Real.Context);
    }

    private struct State
    {
        public OsTable Table;
        public OsTable Real;
        public long Calls;
        public long Failures;
        public long FailFrom;
        public long FailCount;
        public long Purges;
        public long ReservedBytes;
        public long Now;
        public int Mask;
    }
}
