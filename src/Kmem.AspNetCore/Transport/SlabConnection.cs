using System;
using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace Kmem.AspNetCore.Transport;

/// <summary>
/// One accepted socket between two pipes: a loop that receives into the one, a loop that sends from the other. The socket is closed when the server has completed its output, or when either
/// loop fails; <c>ConnectionClosed</c> follows when the receiving loop has ended.
/// </summary>
internal sealed class SlabConnection : DefaultConnectionContext, IMemoryPoolFeature, IConnectionSocketFeature
{
    /// <summary>Room that is offered to a receive at least.</summary>
    private const int ReceiveBytesMin = 2048;

    /// <summary>Smaller blocks are gathered into one send of so many bytes at most: a system call costs more than to copy them.</summary>
    private const int GatheredBytesMax = 64 << 10;

    private const int GatheredBlockBytesMax = 16 << 10;

    private static long s_lastId = DateTime.UtcNow.Ticks;

    private readonly Socket _socket;
    private readonly MemoryPool<byte> _gathering;
    private readonly Pipe _received;
    private readonly Pipe _toSend;
    private readonly bool _waitsForData;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _closed = new();
    private readonly TaskCompletionSource _closedWasTold = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _shutdown = new();
    private bool _isShutDown;
    private Exception? _shutdownReason;
    private Task _running = Task.CompletedTask;

    public SlabConnection(Socket socket, MemoryPool<byte> pool, MemoryPool<byte> gathering, PipeOptions input, PipeOptions output, bool waitsForData, ILogger logger)
        : base(Interlocked.Increment(ref s_lastId).ToString("X", CultureInfo.InvariantCulture))
    {
        _socket = socket;
        _gathering = gathering;
        _waitsForData = waitsForData;
        _logger = logger;
        MemoryPool = pool;
        _received = new Pipe(input);
        _toSend = new Pipe(output);
        Transport = new Duplex(_received.Reader, _toSend.Writer);
        Application = new Duplex(_toSend.Reader, _received.Writer);
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        Features.Set<IMemoryPoolFeature>(this);
        Features.Set<IConnectionSocketFeature>(this);
    }

    public MemoryPool<byte> MemoryPool { get; }

    public Socket Socket => _socket;

    public void Start() => _running = RunAsync();

    public override void Abort(ConnectionAbortedException abortReason)
    {
        ShutDown(abortReason);
        _toSend.Reader.CancelPendingRead();
    }

    public override async ValueTask DisposeAsync()
    {
        // The pipes themselves: middleware may have put others in their place.
        await _received.Reader.CompleteAsync().ConfigureAwait(false);
        await _toSend.Writer.CompleteAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _closed.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    private async Task RunAsync()
    {
        try
        {
            Task receiving = ReceiveAllAsync();
            await SendAllAsync().ConfigureAwait(false);
            await receiving.ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Nobody awaits the loops but the one that disposes the connection.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            TransportLog.Unexpected(_logger, ConnectionId, exception);
        }
    }

    private async Task ReceiveAllAsync()
    {
        // Not in the accepting thread's way.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        Exception? error = null;
        PipeWriter input = _received.Writer;
        try
        {
            while (true)
            {
                if (_waitsForData)
                {
                    // A connection without traffic holds no block.
                    _ = await _socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None).ConfigureAwait(false);
                }

                int bytes = await _socket.ReceiveAsync(input.GetMemory(ReceiveBytesMin), SocketFlags.None).ConfigureAwait(false);
                if (bytes == 0)
                {
                    TransportLog.ReadFin(_logger, ConnectionId);
                    break;
                }

                input.Advance(bytes);
                FlushResult result = await input.FlushAsync().ConfigureAwait(false);
                if (result.IsCompleted || result.IsCanceled)
                {
                    break;
                }
            }
        }
        catch (SocketException exception) when (IsReset(exception.SocketErrorCode))
        {
            error = new ConnectionResetException(exception.Message, exception);
            if (!_isShutDown)
            {
                TransportLog.Reset(_logger, ConnectionId);
            }
        }
        catch (Exception exception) when (exception is ObjectDisposedException || (exception is SocketException socket && IsAbort(socket.SocketErrorCode)))
        {
            // As a rule the other loop has closed the socket, and the reason is known.
            error = exception;
        }
#pragma warning disable CA1031 // The reader gets it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            error = exception;
            TransportLog.Failed(_logger, ConnectionId, exception);
        }

        // Where the socket was shut down, that is why.
        await input.CompleteAsync(_shutdownReason ?? error).ConfigureAwait(false);
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.TellClosed(), this, preferLocal: false);
        await _closedWasTold.Task.ConfigureAwait(false);
    }

    private async Task SendAllAsync()
    {
        Exception? reason = null;
        Exception? unexpected = null;
        PipeReader output = _toSend.Reader;
        try
        {
            while (true)
            {
                ReadResult result = await output.ReadAsync().ConfigureAwait(false);
                if (result.IsCanceled)
                {
                    break;
                }

                ReadOnlySequence<byte> buffer = result.Buffer;
                if (!buffer.IsEmpty)
                {
                    await SendAsync(buffer).ConfigureAwait(false);
                }

                output.AdvanceTo(buffer.End);
                if (result.IsCompleted)
                {
                    break;
                }
            }
        }
        catch (SocketException exception) when (IsReset(exception.SocketErrorCode))
        {
            reason = new ConnectionResetException(exception.Message, exception);
            TransportLog.Reset(_logger, ConnectionId);
        }
        catch (Exception exception) when (exception is ObjectDisposedException || (exception is SocketException socket && IsAbort(socket.SocketErrorCode)))
        {
            reason = exception;
        }
#pragma warning disable CA1031 // The writer gets it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            reason = exception;
            unexpected = exception;
            TransportLog.Failed(_logger, ConnectionId, exception);
        }

        ShutDown(reason);
        await output.CompleteAsync(unexpected).ConfigureAwait(false);

        // A receiving loop that waits for room waits no longer.
        _received.Writer.CancelPendingFlush();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(ReadOnlySequence<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int bytes;
            if (buffer.IsSingleSegment)
            {
                bytes = await _socket.SendAsync(buffer.First, SocketFlags.None).ConfigureAwait(false);
            }
            else if (VectoredSend.IsAvailable)
            {
                bytes = VectoredSend.TrySend(_socket, buffer);
                if (bytes == 0)
                {
                    // The framework waits for room.
                    bytes = await _socket.SendAsync(buffer.First, SocketFlags.None).ConfigureAwait(false);
                }
            }
            else
            {
                bytes = await SendGatheredAsync(buffer).ConfigureAwait(false);
            }

            buffer = buffer.Slice(bytes);
        }
    }

    /// <summary>Where the system has no call for several blocks.</summary>
    private async ValueTask<int> SendGatheredAsync(ReadOnlySequence<byte> buffer)
    {
        if (buffer.First.Length > GatheredBlockBytesMax)
        {
            return await _socket.SendAsync(buffer.First, SocketFlags.None).ConfigureAwait(false);
        }

        int bytes = (int)Math.Min(buffer.Length, GatheredBytesMax);
        using IMemoryOwner<byte> gathered = _gathering.Rent(bytes);
        buffer.Slice(0, bytes).CopyTo(gathered.Memory.Span);
        return await _socket.SendAsync(gathered.Memory[..bytes], SocketFlags.None).ConfigureAwait(false);
    }

    /// <summary>Closes the socket, once: with an end of data after everything was sent, else with a reset.</summary>
    private void ShutDown(Exception? reason)
    {
        lock (_shutdown)
        {
            if (_isShutDown)
            {
                return;
            }

            _isShutDown = true;
            _shutdownReason = reason ?? new ConnectionAbortedException("The server has sent everything and closed the connection.");
            TransportLog.Closes(_logger, ConnectionId, _shutdownReason.Message);
            if (reason != null)
            {
                _socket.Close(timeout: 0);
                return;
            }

            try
            {
                _socket.Shutdown(SocketShutdown.Both);
            }
            catch (SocketException)
            {
                // The client was faster.
            }

            _socket.Dispose();
        }
    }

    private void TellClosed()
    {
        try
        {
            _closed.Cancel();
        }
#pragma warning disable CA1031 // A callback of the server's, which must not end the thread.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            TransportLog.Unexpected(_logger, ConnectionId, exception);
        }

        _closedWasTold.SetResult();
    }

    private static bool IsReset(SocketError error) => error is SocketError.ConnectionReset or SocketError.Shutdown
        || (error == SocketError.ConnectionAborted && OperatingSystem.IsWindows());

    private static bool IsAbort(SocketError error) => error is SocketError.OperationAborted or SocketError.Interrupted or SocketError.ConnectionAborted
        || (error == SocketError.InvalidArgument && !OperatingSystem.IsWindows());

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input { get; } = input;

        public PipeWriter Output { get; } = output;
    }
}
