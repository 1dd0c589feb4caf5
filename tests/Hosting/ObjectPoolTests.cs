using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Kmem.Extensions;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;
using Microsoft.Extensions.Options;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>What users of <see cref="ObjectPool{T}"/> rely on, asked of the provider that they know and of the one that takes its place.</summary>
public sealed class ObjectPoolTests
{
    private const string Default = nameof(DefaultObjectPoolProvider);
    private const string Ours = nameof(KmemObjectPoolProvider);

    public static TheoryData<string> Providers => [Default, Ours];

    private static ObjectPoolProvider Make(string provider, int? maximumRetained = null)
    {
        if (provider == Default)
        {
            DefaultObjectPoolProvider known = new();
            known.MaximumRetained = maximumRetained ?? known.MaximumRetained;
            return known;
        }

        KmemObjectPoolProvider ours = new();
        ours.MaximumRetained = maximumRetained ?? ours.MaximumRetained;
        return ours;
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void What_was_returned_is_handed_out_again(string provider)
    {
        Policy<Plain> policy = new();
        ObjectPool<Plain> pool = Make(provider).Create(policy);
        Plain first = pool.Get();
        Plain second = pool.Get();
        Assert.NotSame(first, second);
        pool.Return(first);
        Assert.Same(first, pool.Get());
        pool.Return(second);
        pool.Return(first);
        Assert.Equal(new HashSet<Plain> { first, second }, [pool.Get(), pool.Get()]);
        Assert.Equal(2, policy.Created);
        Assert.Equal(3, policy.Returned);
    }

    [Theory]
    [InlineData(Default, 1)]
    [InlineData(Default, 3)]
    [InlineData(Default, 40)]
    [InlineData(Ours, 1)]
    [InlineData(Ours, 3)]
    [InlineData(Ours, 40)]
    public void As_many_are_kept_as_was_said(string provider, int maximumRetained)
    {
        Policy<Plain> policy = new();
        ObjectPool<Plain> pool = Make(provider, maximumRetained).Create(policy);
        HashSet<Plain> before = GetMany(pool, maximumRetained + 5);
        foreach (Plain each in before)
        {
            pool.Return(each);
        }

        HashSet<Plain> after = GetMany(pool, maximumRetained + 5);
        Assert.Equal(maximumRetained, after.Intersect(before).Count());
        Assert.Equal((2 * maximumRetained) + 10 - maximumRetained, policy.Created);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void By_itself_two_are_kept_for_each_CPU(string provider)
    {
        ObjectPool<Plain> pool = Make(provider).Create<Plain>();
        HashSet<Plain> before = GetMany(pool, (2 * Environment.ProcessorCount) + 3);
        foreach (Plain each in before)
        {
            pool.Return(each);
        }

        Assert.Equal(2 * Environment.ProcessorCount, GetMany(pool, before.Count).Intersect(before).Count());
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void What_the_policy_refuses_is_not_kept(string provider)
    {
        Policy<Plain> policy = new() { Accepts = false };
        ObjectPool<Plain> pool = Make(provider).Create(policy);
        Plain item = pool.Get();
        pool.Return(item);
        Assert.NotSame(item, pool.Get());
        Assert.Equal(2, policy.Created);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void What_the_policy_throws_comes_out_and_the_object_is_not_kept(string provider)
    {
        Policy<Disposable> policy = new();
        ObjectPool<Disposable> pool = Make(provider).Create(policy);
        Disposable item = pool.Get();
        policy.Throws = true;
        Assert.Throws<FormatException>(() => pool.Return(item));
        Assert.Throws<FormatException>(() => pool.Get());
        policy.Throws = false;
        Assert.NotSame(item, pool.Get());
        Assert.Equal(0, item.Disposals);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void A_pool_of_disposable_objects_is_disposable_and_no_other(string provider)
    {
        Assert.IsAssignableFrom<IDisposable>(Make(provider).Create(new Policy<Disposable>()));
        Assert.IsNotAssignableFrom<IDisposable>(Make(provider).Create(new Policy<Plain>()));
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void Disposable_objects_that_are_not_kept_are_disposed(string provider)
    {
        Policy<Disposable> policy = new();
        ObjectPool<Disposable> pool = Make(provider, 4).Create(policy);
        List<Disposable> items = [.. GetMany(pool, 6)];
        items.ForEach(pool.Return);
        Assert.Equal(2, items.Sum(static item => item.Disposals));
        policy.Accepts = false;
        Disposable refused = pool.Get();
        pool.Return(refused);
        Assert.Equal(1, refused.Disposals);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void The_end_of_a_pool_disposes_what_it_keeps_and_what_comes_later(string provider)
    {
        Policy<Disposable> policy = new();
        ObjectPool<Disposable> pool = Make(provider, 4).Create(policy);
        List<Disposable> items = [.. GetMany(pool, 5)];
        Disposable held = items[4];
        items.GetRange(0, 4).ForEach(pool.Return);
        ((IDisposable)pool).Dispose();
        Assert.All(items.Take(4), static item => Assert.Equal(1, item.Disposals));
        Assert.Equal(0, held.Disposals);
        Assert.Throws<ObjectDisposedException>(pool.Get);

        // The policy is not asked any more.
        policy.Throws = true;
        pool.Return(held);
        Assert.Equal(1, held.Disposals);
        ((IDisposable)pool).Dispose();
        Assert.All(items, static item => Assert.Equal(1, item.Disposals));
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void An_object_whose_type_does_not_say_that_it_is_disposable_is_left_alone(string provider)
    {
        Policy<object> policy = new() { Accepts = false, Make = static () => new Disposable() };
        ObjectPool<object> pool = Make(provider, 1).Create(policy);
        Disposable item = (Disposable)pool.Get();
        pool.Return(item);
        Assert.Equal(0, item.Disposals);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void Objects_that_know_how_to_are_reset(string provider)
    {
        ObjectPool<Resettable> pool = Make(provider).Create<Resettable>();
        Resettable item = pool.Get();
        item.Value = 5;
        pool.Return(item);
        Assert.Same(item, pool.Get());
        Assert.Equal(0, item.Value);
        item.CanReset = false;
        pool.Return(item);
        Assert.NotSame(item, pool.Get());
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void Builders_of_strings_come_back_empty_unless_they_have_grown_too_large(string provider)
    {
        ObjectPool<StringBuilder> pool = Make(provider).CreateStringBuilderPool(initialCapacity: 32, maximumRetainedCapacity: 1000);
        StringBuilder builder = pool.Get();
        Assert.Equal(32, builder.Capacity);
        builder.Append('x', 500);
        pool.Return(builder);
        Assert.Same(builder, pool.Get());
        Assert.Equal(0, builder.Length);
        builder.Append('x', 5000);
        pool.Return(builder);
        Assert.NotSame(builder, pool.Get());
        Assert.Equal(0, Make(provider).CreateStringBuilderPool().Get().Length);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void Without_a_policy_there_is_no_pool(string provider) => Assert.Throws<ArgumentNullException>(() => Make(provider).Create<Plain>(null!));

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task No_two_threads_have_one_object(string provider)
    {
        ObjectPool<Plain> pool = Make(provider, 3).Create<Plain>();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int turn = 0; turn < 20_000; turn++)
            {
                Plain one = pool.Get();
                Plain two = pool.Get();
                Assert.Equal(1, Interlocked.Increment(ref one.Holders));
                Assert.Equal(1, Interlocked.Increment(ref two.Holders));
                Interlocked.Decrement(ref two.Holders);
                pool.Return(two);
                Interlocked.Decrement(ref one.Holders);
                pool.Return(one);
            }
        })));
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task Objects_that_are_returned_while_the_pool_ends_are_all_disposed_once(string provider)
    {
        for (int turn = 0; turn < 200; turn++)
        {
            ObjectPool<Disposable> pool = Make(provider, 8).Create(new Policy<Disposable>());
            List<Disposable> items = [.. GetMany(pool, 8)];
            Task returns = Task.Run(() => items.ForEach(pool.Return), TestContext.Current.CancellationToken);
            ((IDisposable)pool).Dispose();
            await returns;

            // The known one may keep what came in the middle; nobody disposes twice.
            Assert.All(items, item => Assert.InRange(item.Disposals, provider == Ours ? 1 : 0, 1));
        }
    }

    [Fact]
    public void A_bound_below_one_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(static () => new KmemObjectPoolProvider { MaximumRetained = 0 });
        Assert.Equal(new DefaultObjectPoolProvider().MaximumRetained, new KmemObjectPoolProvider().MaximumRetained);
        Assert.Equal(new DefaultObjectPoolProvider().MaximumRetained, new KmemObjectPoolOptions().MaximumRetained);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_line_puts_it_in_the_place_of_the_other(bool isFirst)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        if (isFirst)
        {
            builder.Services.AddKmemObjectPools(static options => options.MaximumRetained = 2);
        }

        // As the parts of ASP.NET Core do.
        builder.Services.TryAddSingleton<ObjectPoolProvider, DefaultObjectPoolProvider>();
        if (!isFirst)
        {
            builder.Services.AddKmemObjectPools(static options => options.MaximumRetained = 2);
        }

        builder.Services.AddSingleton(static provider => provider.GetRequiredService<ObjectPoolProvider>().Create(new Policy<Disposable>()));
        using IHost host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        Assert.IsType<KmemObjectPoolProvider>(Assert.Single(host.Services.GetServices<ObjectPoolProvider>()));
        ObjectPool<Disposable> pool = host.Services.GetRequiredService<ObjectPool<Disposable>>();
        List<Disposable> items = [.. GetMany(pool, 3)];
        items.ForEach(pool.Return);
        Assert.Equal(1, items.Sum(static item => item.Disposals));
        await host.StopAsync(TestContext.Current.CancellationToken);
        host.Dispose();
        Assert.All(items, static item => Assert.Equal(1, item.Disposals));
    }

    [Fact]
    public async Task The_parts_of_a_web_application_use_it()
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Services.AddKmemObjectPools();
        builder.Services.AddControllersWithViews();
        builder.Services.AddSession();
        builder.Services.AddResponseCompression();
        await using WebApplication app = builder.Build();
        Assert.IsType<KmemObjectPoolProvider>(Assert.Single(app.Services.GetServices<ObjectPoolProvider>()));
    }

    [Fact]
    public async Task A_bad_bound_stops_the_start_with_its_name()
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddKmemObjectPools().AddKmemObjectPools(static options => options.MaximumRetained = 0);
        using IHost host = builder.Build();
        OptionsValidationException thrown = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains("MaximumRetained of the object pools is at least 1, not 0", thrown.Message, StringComparison.Ordinal);
    }

    private static HashSet<T> GetMany<T>(ObjectPool<T> pool, int count)
        where T : class
    {
        HashSet<T> items = [];
        for (int each = 0; each < count; each++)
        {
            Assert.True(items.Add(pool.Get()));
        }

        return items;
    }

    private sealed class Plain
    {
        public int Holders;
    }

    private sealed class Disposable : IDisposable
    {
        private int _disposals;

        public int Disposals => _disposals;

        public void Dispose() => Interlocked.Increment(ref _disposals);
    }

    private sealed class Resettable : IResettable
    {
        public int Value { get; set; }

        public bool CanReset { get; set; } = true;

        public bool TryReset()
        {
            Value = 0;
            return CanReset;
        }
    }

    private sealed class Policy<T> : IPooledObjectPolicy<T>
        where T : class, new()
    {
        private int _created;
        private int _returned;

        public int Created => _created;

        public int Returned => _returned;

        public bool Accepts { get; set; } = true;

        public bool Throws { get; set; }

        public Func<T> Make { get; init; } = static () => new T();

        public T Create()
        {
            ThrowIfAsked();
            Interlocked.Increment(ref _created);
            return Make();
        }

        public bool Return(T obj)
        {
            ThrowIfAsked();
            Interlocked.Increment(ref _returned);
            return Accepts;
        }

        private void ThrowIfAsked()
        {
            if (Throws)
            {
                throw new FormatException("as asked");
            }
        }
    }
}
