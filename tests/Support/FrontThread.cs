using System;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace Kmem.Tests;

/// <summary>A thread that lives on between the things it is told to do, and so keeps its front.</summary>
internal sealed class FrontThread : IDisposable
{
    private readonly SemaphoreSlim _told = new(0);
    private readonly SemaphoreSlim _done = new(0);
    private readonly Thread _thread;
    private Action? _work;
    private ExceptionDispatchInfo? _failure;

    public FrontThread()
    {
        _thread = new Thread(Live);
        _thread.Start();
    }

    public void Do(Action work)
    {
        _work = work;
        _told.Release();
        _done.Wait();
        _failure?.Throw();
    }

    public T Do<T>(Func<T> work)
    {
        T result = default!;
        Do(() => { result = work(); });
        return result;
    }

    public void Dispose()
    {
        _work = null;
        _told.Release();
        _thread.Join();
        _told.Dispose();
        _done.Dispose();
    }

    private void Live()
    {
        for (_told.Wait(); _work != null; _told.Wait())
        {
            try
            {
                _failure = null;
                _work();
            }
#pragma warning disable CA1031 // It is thrown where the thread was told to.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                _failure = ExceptionDispatchInfo.Capture(exception);
            }

            _done.Release();
        }
    }
}
